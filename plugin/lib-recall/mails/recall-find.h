#ifndef RECALL_FIND_H
#define RECALL_FIND_H

#include "mail-storage.h"

struct mail_search_args;
struct recall_message_id;

/* What is searched for. */
struct recall_criteria {
	/* Messages that this id means, or NULL: then search_args say. */
	const struct recall_message_id *message_id;
	/* Read the headers of all messages rather than trust the index. */
	bool verify_headers;
	/* One search at a time: the arguments are bound to a mailbox during
	   it. */
	struct mail_search_args *search_args;
	/* Only messages from one of these addresses, or NULL. */
	const char *const *senders;
	/* What this says TRUE of is as if it was not there; may be NULL. */
	bool (*leave_out)(struct mail *mail, void *context);
	void *leave_out_context;
	/* Leave out mailboxes of the user's own sent mail and drafts. */
	bool skip_outgoing;
};

/* What the callback reads of the messages found: a hint for Dovecot to fetch it
   at once. */
struct recall_find_wanted {
	enum mail_fetch_field fields;
	/* NULL-terminated header names, or NULL */
	const char *const *headers;
	/* Set to TRUE if a message, or the mailbox, was gone before it could be
	   judged; may be NULL. */
	bool *gone;
	/* What is found will be expunged. */
	bool expunge;
	/* The query is for what has just been saved, not for all that there
	   is. */
	bool arrived;
	/* See recall_index_find(); may be NULL. */
	struct recall_index_lookup *lookup;
};

/* Called for each message found, in the order of UIDs. Returns FALSE to end
   the search. */
typedef bool recall_find_callback_t(struct mail *mail, void *context);

/* Calls back for all that the criteria match in the mailbox, which may still
   be closed. Messages are not marked as read. Memory use does not depend on
   their number. Messages that match but for their sender are counted in
   other_sender_count. Returns -1 if some could not be judged; the error is in
   the mailbox's storage. A mailbox that is gone has no messages. */
int recall_find_in_box(struct mailbox *box,
		       const struct recall_criteria *criteria,
		       const struct recall_find_wanted *wanted,
		       recall_find_callback_t *callback, void *context,
		       unsigned int *other_sender_count);

#endif
