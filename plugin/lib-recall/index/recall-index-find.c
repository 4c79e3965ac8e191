#include "lib.h"
#include "array.h"
#include "recall-index-pass.h"

int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      bool verify, ARRAY_TYPE(seq_range) *uids_r)
{
	ARRAY_TYPE(seq_range) uids;
	struct recall_index_pass pass = {
		.box = box,
		.search_hash = recall_index_hash(id),
		.uids = &uids,
		.verify = verify,
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
	return ret;
}
