#ifndef RECALL_MATCH_H
#define RECALL_MATCH_H

struct mail;
struct recall_message_id;

/* Whether one of the values of a Message-ID header has the id. */
bool recall_match_headers(const char *const *values,
			  const struct recall_message_id *id);
/* Whether the id means the message (recall-message-id.h). With verify Dovecot's
   cache of headers is not believed. Returns 1 if yes, 0 if no or if the message
   is gone, -1 on error. */
int recall_match_message_id(struct mail *mail,
			    const struct recall_message_id *id, bool verify);

/* Whether every address in the message's From is one of the addresses (case of
   letters is ignored). Returns 1 if yes, 0 if no or if the message is gone,
   -1 on error. */
int recall_match_sender(struct mail *mail, const char *const *senders);

/* Whether the message was read, answered or forwarded. */
bool recall_match_is_read(struct mail *mail);

#endif
