#include "lib.h"
#include "recall-index-pass.h"

int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      enum recall_index_find_flags flags,
		      struct recall_index_lookup *lookup,
		      ARRAY_TYPE(seq_range) *uids_r)
{
	struct recall_index_pass pass = {
		.box = box,
		.search_hash = recall_index_hash(id),
		.uids = uids_r,
		.verify = (flags & RECALL_INDEX_FIND_VERIFY) != 0,
		.expunge = (flags & RECALL_INDEX_FIND_EXPUNGE) != 0,
		.lookup = lookup,
	};
	int ret;

	T_BEGIN {
		ret = recall_index_pass_run(&pass);
	} T_END;
	return ret;
}
