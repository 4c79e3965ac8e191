#include "lib.h"
#include "array.h"
#include "mail-index-private.h"
#include "mail-index-view-private.h"
#include "recall-index-fence.h"
#include "recall-index-sum.h"

#define FENCE_EXT_NAME "recall"
#define OLD_EXT_NAME "recall-msgid"
/* Dovecot knows no extension without anything. */
#define OLD_EXT_HDR_SIZE 8

static uint32_t fence_ext_register(struct mail_index *index)
{
	return mail_index_ext_register(index, FENCE_EXT_NAME,
				       sizeof(struct recall_index_fence), 0,
				       sizeof(uint32_t));
}

void recall_index_fence_get(struct mail_index_view *view,
			    struct recall_index_fence *fence_r)
{
	const void *data;
	size_t size;

	fence_r->uid = 1;
	fence_r->sum = RECALL_INDEX_SUM_NOTHING;
	mail_index_get_header_ext(view, fence_ext_register(
		mail_index_view_get_index(view)), &data, &size);
	if (size < sizeof(fence_r->uid))
		return;
	/* it was a UID alone */
	fence_r->sum = RECALL_INDEX_SUM_UNKNOWN;
	memcpy(fence_r, data, I_MIN(size, sizeof(*fence_r)));
}

void recall_index_fence_set(struct mail_index_transaction *trans,
			    const struct recall_index_fence *fence)
{
	struct mail_index_view *view = mail_index_transaction_get_view(trans);

	/* Dovecot makes room for it if there was a UID alone */
	mail_index_update_header_ext(trans, fence_ext_register(
		mail_index_view_get_index(view)), 0, fence, sizeof(*fence));
}

int recall_index_fence_move(struct mail_index *index,
			    const struct recall_index_fence *fence)
{
	struct mail_index_transaction *trans;
	struct mail_index_view *view;

	view = mail_index_view_open(index);
	trans = mail_index_transaction_begin(view,
		MAIL_INDEX_TRANSACTION_FLAG_EXTERNAL);
	mail_index_view_close(&view);
	recall_index_fence_set(trans, fence);
	return mail_index_transaction_commit(&trans);
}

int recall_index_fence_drop_old(struct mail_index *index)
{
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	const struct mail_index_ext *ext;
	uint32_t ext_id, idx;

	if (!mail_index_ext_lookup(index, OLD_EXT_NAME, &ext_id) ||
	    !mail_index_map_get_ext_idx(index->map, ext_id, &idx))
		return 0;
	ext = array_idx(&index->map->extensions, idx);
	if (ext->record_size == 0)
		return 0;
	/* no transaction has records to write that would not fit any more */
	mail_index_ext_register_resize_defaults(index, ext_id,
		OLD_EXT_HDR_SIZE, 0, sizeof(uint32_t));
	view = mail_index_view_open(index);
	trans = mail_index_transaction_begin(view,
		MAIL_INDEX_TRANSACTION_FLAG_EXTERNAL);
	mail_index_view_close(&view);
	mail_index_ext_resize(trans, ext_id, OLD_EXT_HDR_SIZE, 0,
			      sizeof(uint32_t));
	if (mail_index_transaction_commit(&trans) < 0 ||
	    mail_index_refresh(index) < 0)
		return -1;
	return 1;
}
