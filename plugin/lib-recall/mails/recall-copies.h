#ifndef RECALL_COPIES_H
#define RECALL_COPIES_H

#include "guid.h"
#include "seq-range-array.h"

struct mail_user;
struct mailbox;
struct recall_criteria;

/* The copies in one mailbox, which is kept open. */
struct recall_copies_box {
	struct mailbox *box;
	guid_128_t guid;
	ARRAY_TYPE(seq_range) uids;
	/* recall_copies_expunge() has deleted them. */
	bool expunged;
};

/* All that a user has of a message, or of the messages that a query finds. */
struct recall_copies {
	pool_t pool;
	ARRAY(struct recall_copies_box) boxes;
	unsigned int count;
	/* Copies that match but for the address that sent them. */
	unsigned int other_sender_count;
	/* Copies that an earlier try has deleted and nobody restored. */
	unsigned int recorded_count;
	/* A copy outside \Sent and \Drafts was read, answered or forwarded. */
	bool read;
	/* Decoded headers of the first copy, NULL if it has none. */
	const char *subject, *from, *date;
	/* Its Message-ID without angle brackets, NULL if it has none. */
	const char *message_id;
	/* Some mailbox could not be searched: why. */
	const char *error;
};

/* Looks through the user's own private namespaces, whatever their ACLs. Shared,
   public and virtual mailboxes are never touched. Failures are told in
   copies_r->error; what was found nevertheless is right. */
void recall_copies_find(struct mail_user *user,
			const struct recall_criteria *criteria,
			struct recall_copies *copies_r);

/* Looks once more at the copies found, just before they are deleted: those that
   are gone are dropped, and copies->read tells what the user did meanwhile. */
void recall_copies_refresh(struct recall_copies *copies);

/* Expunges the copies. expunged_r is the number deleted. Returns -1 and sets
   copies->error if that failed in some mailbox. */
int recall_copies_expunge(struct recall_copies *copies,
			  unsigned int *expunged_r);

/* Comma-separated names and GUIDs of the mailboxes with copies, as
   RECALL_COLUMN_MAILBOXES and RECALL_COLUMN_MAILBOX_GUIDS say. */
const char *recall_copies_get_mailboxes(const struct recall_copies *copies);
const char *recall_copies_get_guids(const struct recall_copies *copies);

void recall_copies_free(struct recall_copies *copies);

#endif
