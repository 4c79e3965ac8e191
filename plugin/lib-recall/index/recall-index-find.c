#include "lib.h"
#include "array.h"
#include "recall-index-pass.h"

int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      enum recall_index_find_flags flags,
		      struct recall_index_lookup *lookup,
		      ARRAY_TYPE(seq_range) *uids_r)
{
	ARRAY_TYPE(seq_range) uids;
	struct recall_index_pass pass = {
		.box = box,
		.search_hash = recall_index_hash(id),
		.uids = &uids,
		.verify = (flags & RECALL_INDEX_FIND_VERIFY) != 0,
		.expunge = (flags & RECALL_INDEX_FIND_EXPUNGE) != 0,
		.lookup = lookup,
	};
	int ret;

	/* the caller's may be on the data stack, and can't grow in a frame that
	   is not its own */
	i_array_init(&uids, 8);
	T_BEGIN {
		ret = recall_index_pass_run(&pass);
	} T_END;
	seq_range_array_merge(uids_r, &uids);
	array_free(&uids);
	return ret == 0 && pass.passed_over ? 1 : ret;
}
