#ifndef RECALL_EXPUNGE_LOG_H
#define RECALL_EXPUNGE_LOG_H

#include "mail-index-private.h"
#include "mail-index-transaction-private.h"

struct mailbox_transaction_context;

/* Who is the first to expunge a message. From the sync of a mailbox until what
   is expunged from it is committed others may do the same: Dovecot takes it
   from all of them, and tells nobody. What tells is whose record comes first in
   the mailbox's log. */
struct recall_expunge_log {
	union mail_index_transaction_module_context module_ctx;
	struct mail_index *index;
	/* up to where the mailbox's view has seen others' */
	uint32_t seen_seq;
	uoff_t seen_offset;
	/* where the transaction was written; 0 if it was not */
	uint32_t seq;
	uoff_t offset;
};

/* Called before the transaction is committed; log_r must live until then. */
void recall_expunge_log_init(struct recall_expunge_log *log_r,
			     struct mailbox_transaction_context *trans);
/* Takes away those that others had expunged before the transaction was written.
   If the log can't be read any more, none are. */
void recall_expunge_log_drop_others(const struct recall_expunge_log *log,
				    ARRAY_TYPE(seq_range) *uids);

#endif
