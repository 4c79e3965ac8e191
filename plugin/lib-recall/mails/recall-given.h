#ifndef RECALL_GIVEN_H
#define RECALL_GIVEN_H

#include "guid.h"
#include "seq-range-array.h"
#include "mail-index-private.h"
#include "mail-index-transaction-private.h"

struct mailbox;
struct mailbox_transaction_context;

/* Which time it is that messages can be given: UIDVALIDITY and next UID of a
   mailbox that one more message is saved to before they can be given again. A
   number of messages would be the former one again if some are lost. */
struct recall_given_generation {
	uint32_t uid_validity, next_uid;
};

/* Which messages of a mailbox have been copied into another one, where clients
   may have moved or deleted them at once. That is written into the other
   mailbox's log in the transaction that the copies are committed with: it is
   there if and only if they are, whenever the process is killed, and whatever
   the mailbox is called by now. The log has, too, what clients have expunged
   since. It is begun anew now and then: then nothing is known of it any
   more. */
struct recall_given {
	/* of the mailbox that is copied from */
	guid_128_t box_guid;
	uint32_t uid_validity;
	/* what was given before it had these numbers does not count */
	struct recall_given_generation generation;
	/* UIDs of messages that were given */
	ARRAY_TYPE(seq_range) uids;

	union mail_index_transaction_module_context module_ctx;
	const ARRAY_TYPE(seq_range) *copied;
};

/* A message, and the copy that was made of it. */
struct recall_given_copy {
	uint32_t uid, dest_uid;
};
ARRAY_DEFINE_TYPE(recall_given_copy, struct recall_given_copy);

/* Allocates from the data stack. */
int recall_given_init(struct recall_given *given_r, struct mailbox *src,
		      const struct recall_given_generation *generation,
		      const char **error_r);
/* Adds to uids what dest has got and somebody has expunged since, and the rest
   of what it has got to left. The mailbox is synced. */
int recall_given_read(struct recall_given *given, struct mailbox *dest,
		      ARRAY_TYPE(recall_given_copy) *left,
		      const char **error_r);
/* Called before the transaction is committed that makes copies of these
   messages, in their order. uids must live until then, as given must. If they
   are too many ranges nothing is written. */
void recall_given_write(struct recall_given *given,
			struct mailbox_transaction_context *dest_trans,
			const ARRAY_TYPE(seq_range) *uids);

#endif
