#ifndef RECALL_NOTICE_H
#define RECALL_NOTICE_H

struct mail_user;

/* Has the recall id in each notice. */
#define RECALL_NOTICE_HEADER "X-Dovecot-Recall-Id"

enum recall_notice_kind {
	/* The message was removed from the user's mailbox. */
	RECALL_NOTICE_KIND_EXPUNGED,
	/* The message was asked back, but the user had read it: it stays. */
	RECALL_NOTICE_KIND_READ,
	/* What became of the recall for all users, for whoever made it: see
	   recall-report-render.h. */
	RECALL_NOTICE_KIND_REPORT
};

/* What a notice is about. The header values are those of the recalled message,
   hence written by anyone: they are made harmless where they are used. */
struct recall_notice {
	enum recall_notice_kind kind;
	/* The recalled message's id, without its angle brackets. */
	const char *message_id;
	const char *recall_id;
	/* Header values decoded to UTF-8. NULL if the message has none. */
	const char *subject, *from, *date;
	/* Copies removed (found, if they stay). */
	unsigned int copies;
	/* Why, for the reader of the notice. NULL if it is left out. */
	const char *reason;
};

/* The Message-ID that recall_notice_send() gives the notice, without angle
   brackets: the same for each retry of a recall. The result is of the data
   stack. */
const char *recall_notice_get_message_id(struct mail_user *user,
					 const struct recall_notice *notice);

/* Saves a notice into the user's INBOX, which is created if it's missing, as
   an unseen message received now. This is a transaction of its own: if it
   fails, nothing else is touched. Or, if the setting recall_notice_delivery is
   "submit", sends it to the user's address with Dovecot's submission_host or
   sendmail_path. Returns 0 if the notice stands in the INBOX or was taken for
   delivery, -1 if not (no room, no readable template, wrong settings, ...):
   error_r is then a text of the data stack.

   The settings recall_notice_* are read, and the userdb field that
   RECALL_USERDB_LANG names. */
int recall_notice_send(struct mail_user *user,
		       const struct recall_notice *notice,
		       const char **error_r);

#endif
