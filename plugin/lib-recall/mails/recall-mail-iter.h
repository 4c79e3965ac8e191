#ifndef RECALL_MAIL_ITER_H
#define RECALL_MAIL_ITER_H

#include "mail-storage.h"
#include "seq-range-array.h"

/* Goes through messages of a mailbox by their UIDs, in a transaction. */
struct recall_mail_iter {
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	struct seq_range_iter uids;
	unsigned int n;
	/* the current one */
	uint32_t uid;
};

/* wanted_fields and headers (may be NULL) are what will be read of the
   messages. uids must outlive the iterator. */
void recall_mail_iter_init(struct recall_mail_iter *iter, struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   enum mail_fetch_field wanted_fields,
			   struct mailbox_header_lookup_ctx *headers);
/* Returns the next message, NULL after the last. Those that the mailbox's view
   does not have any more are passed over. */
struct mail *recall_mail_iter_next(struct recall_mail_iter *iter);
/* The same, but stops at one that is not there: then mail_r is NULL. Returns
   FALSE after the last. */
bool recall_mail_iter_next_uid(struct recall_mail_iter *iter,
			       struct mail **mail_r);
/* Commits what was changed. Returns -1 if that fails. */
int recall_mail_iter_commit(struct recall_mail_iter *iter);
/* Ends the transaction of one that has changed nothing. */
void recall_mail_iter_rollback(struct recall_mail_iter *iter);

#endif
