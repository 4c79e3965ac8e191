#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "mail-storage-private.h"
#include "recall-index-fence.h"
#include "recall-index-file.h"
#include "recall-index.h"

static bool uids_get_range(const ARRAY_TYPE(seq_range) *uids,
			   uint32_t *first_r, uint32_t *last_r)
{
	const struct seq_range *range;

	if (!array_is_created(uids) || array_is_empty(uids))
		return FALSE;
	*first_r = (uint32_t)-1;
	*last_r = 0;
	array_foreach(uids, range) {
		*first_r = I_MIN(*first_r, range->seq1);
		*last_r = I_MAX(*last_r, range->seq2);
	}
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

bool recall_index_save_uids(struct mailbox_transaction_context *t,
			    const ARRAY_TYPE(seq_range) *uids)
{
	uint32_t first, last, fence;

	if (!uids_get_range(uids, &first, &last) ||
	    mail_index_is_in_memory(t->box->index))
		return FALSE;
	/* the index is locked, and has been read again since */
	fence = recall_index_fence_get(t->view);
	/* messages in between may have the records of others */
	if (first < fence || have_messages(t->box->index, fence, first))
		return FALSE;
	recall_index_fence_set(t->itrans, last + 1);
	return TRUE;
}

void recall_index_saved(struct mailbox *box, uint32_t uid_validity,
			const ARRAY_TYPE(seq_range) *uids,
			const ARRAY_TYPE(uint64_t) *hashes)
{
	const char *error, *path = recall_index_file_get_path(box->list);
	struct mailbox_metadata metadata;
	ARRAY(struct recall_index_rec) recs;
	struct recall_index_rec rec;
	struct seq_range_iter iter;
	const uint64_t *hash;
	unsigned int n = 0;
	buffer_t *blocks;

	if (path == NULL || seq_range_count(uids) != array_count(hashes) ||
	    mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		return;
	i_zero(&rec);
	t_array_init(&recs, array_count(hashes));
	seq_range_array_iter_init(&iter, uids);
	array_foreach(hashes, hash) {
		if (!seq_range_array_iter_nth(&iter, n++, &rec.uid))
			return;
		rec.hash = *hash;
		if (rec.hash != RECALL_INDEX_HASH_UNKNOWN)
			array_push_back(&recs, &rec);
	}
	if (array_is_empty(&recs))
		return;
	blocks = buffer_create_dynamic(default_pool, 128);
	recall_index_block_mails(blocks, metadata.guid, uid_validity,
				 array_front(&recs), array_count(&recs));
	if (recall_index_file_append(box->list, path, blocks, &error) < 0) {
		e_warning(box->event,
			  "recall: Can't write Message-ID index: %s", error);
	}
	buffer_free(&blocks);
}
