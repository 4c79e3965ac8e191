#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "mail-storage-private.h"
#include "recall-index-fence.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-sum.h"
#include "recall-index.h"

/* Most UIDs without a message that are written down. */
#define GAP_MAX 1024

static bool
uids_get_first(const ARRAY_TYPE(seq_range) *uids, uint32_t *first_r)
{
	const struct seq_range *range;

	if (!array_is_created(uids) || array_is_empty(uids))
		return FALSE;
	*first_r = (uint32_t)-1;
	array_foreach(uids, range)
		*first_r = I_MIN(*first_r, range->seq1);
	return TRUE;
}

/* Whether there are messages from the UID on, up to the one before the end. */
static bool
have_messages(struct mail_index *index, uint32_t uid, uint32_t end)
{
	struct mail_index_view *view;
	uint32_t seq1, seq2;
	bool ret;

	if (uid == end)
		return FALSE;
	view = mail_index_view_open(index);
	ret = mail_index_lookup_seq_range(view, uid, end - 1, &seq1, &seq2);
	mail_index_view_close(&view);
	return ret;
}

/* Whether the fence can be moved over these. The index is locked, and has been
   read again since. */
static bool
may_move_fence(struct mailbox_transaction_context *t,
	       const struct recall_index_fence *fence, uint32_t first)
{
	/* messages in between may have the records of others */
	return first >= fence->uid &&
		!have_messages(t->box->index, fence->uid, first);
}

/* The fence beyond these. */
static void
fence_add(struct recall_index_fence *fence,
	  const ARRAY_TYPE(recall_index_rec) *recs)
{
	const struct recall_index_rec *rec;
	bool known = fence->sum != RECALL_INDEX_SUM_UNKNOWN;

	array_foreach(recs, rec) {
		fence->sum += recall_index_sum_rec(rec);
		fence->uid = rec->uid + 1;
	}
	if (!known)
		fence->sum = RECALL_INDEX_SUM_UNKNOWN;
}

/* UIDs that no message has may have records, of messages that were never
   committed for example, or in an old copy of the index. These take their
   place, so that the sum is known. Returns FALSE if there are too many. */
static bool add_gap(uint32_t uid, uint32_t end,
		    ARRAY_TYPE(recall_index_rec) *recs)
{
	struct recall_index_rec rec = { .hash = RECALL_INDEX_HASH_NONE };

	if (end - uid > GAP_MAX || array_count(recs) > RECALL_INDEX_SAVE_MAX)
		return FALSE;
	for (rec.uid = uid; rec.uid < end; rec.uid++)
		array_push_back(recs, &rec);
	return TRUE;
}

/* From the fence on. Returns FALSE if there is no record for one of the
   messages. */
static bool get_records(uint32_t next_uid, const ARRAY_TYPE(seq_range) *uids,
			const ARRAY_TYPE(uint64_t) *hashes,
			ARRAY_TYPE(recall_index_rec) *recs)
{
	struct recall_index_rec rec = { .uid = 0 };
	struct seq_range_iter iter;
	const uint64_t *hash;
	unsigned int n = 0;

	if (seq_range_count(uids) != array_count(hashes))
		return FALSE;
	seq_range_array_iter_init(&iter, uids);
	array_foreach(hashes, hash) {
		if (*hash == RECALL_INDEX_HASH_UNKNOWN ||
		    !seq_range_array_iter_nth(&iter, n++, &rec.uid) ||
		    !add_gap(next_uid, rec.uid, recs))
			return FALSE;
		rec.hash = *hash;
		array_push_back(recs, &rec);
		next_uid = rec.uid + 1;
	}
	return TRUE;
}

bool recall_index_save(struct mailbox_transaction_context *t,
		       const guid_128_t guid,
		       const ARRAY_TYPE(uint64_t) *hashes)
{
	const ARRAY_TYPE(seq_range) *uids = &t->changes->saved_uids;
	struct mailbox *box = t->box;
	const char *error, *path = recall_index_file_get_path(box->list);
	ARRAY_TYPE(recall_index_rec) recs;
	struct recall_index_fence fence;
	uint32_t first;
	buffer_t *blocks;
	bool is_long;
	int ret;

	if (array_count(hashes) > RECALL_INDEX_SAVE_MAX)
		return FALSE;
	t_array_init(&recs, array_count(hashes));
	if (path == NULL || guid_128_is_empty(guid) ||
	    mail_index_is_in_memory(box->index) ||
	    !uids_get_first(uids, &first))
		return FALSE;
	recall_index_fence_get(t->view, &fence);
	if (!may_move_fence(t, &fence, first) ||
	    !get_records(fence.uid, uids, hashes, &recs))
		return FALSE;
	blocks = buffer_create_dynamic(default_pool, 128);
	recall_index_block_mails(blocks, guid, t->changes->uid_validity,
				 array_front(&recs), array_count(&recs));
	ret = recall_index_file_append_only(box->list, path, blocks, &is_long,
					    &error);
	buffer_free(&blocks);
	if (ret < 0) {
		e_warning(box->event,
			  "recall: Can't write Message-ID index: %s", error);
		return FALSE;
	}
	/* in this order: see recall_index_pass_flush() */
	fence_add(&fence, &recs);
	recall_index_fence_set(t->itrans, &fence);
	return is_long;
}

void recall_index_compact(struct mailbox *box)
{
	const char *error, *path = recall_index_file_get_path(box->list);

	if (recall_index_file_compact(box->list, path, NULL, NULL, &error) < 0)
		e_warning(box->event,
			  "recall: Can't write Message-ID index: %s", error);
}
