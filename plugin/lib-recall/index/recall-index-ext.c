#include "lib.h"
#include "array.h"
#include "ioloop.h"
#include "mail-storage-private.h"
#include "recall-index-ext.h"

#define RECORD_SIZE sizeof(uint64_t)
/* A record of 8 bytes needs no more than 4-byte alignment to grow a message's
   index record by no more than 8 bytes. */
#define RECORD_ALIGN sizeof(uint32_t)

uint32_t recall_index_ext_register(struct mail_index *index)
{
	uint32_t ext_id;

	ext_id = mail_index_ext_register(index, RECALL_INDEX_EXT_NAME,
					 sizeof(struct recall_index_header),
					 RECORD_SIZE, RECORD_ALIGN);
	/* opening an index registers what it has, in the sizes found there */
	mail_index_ext_register_resize_defaults(index, ext_id,
		sizeof(struct recall_index_header), RECORD_SIZE, RECORD_ALIGN);
	return ext_id;
}

static const struct mail_index_ext *
recall_index_ext_get(struct mail_index_map *map, uint32_t ext_id)
{
	uint32_t idx;

	if (!mail_index_map_get_ext_idx(map, ext_id, &idx))
		return NULL;
	return array_idx(&map->extensions, idx);
}

enum recall_index_ext_state
recall_index_ext_get_state(struct mail_index_view *view, uint32_t ext_id)
{
	struct mail_index_map *map = view->index->map;
	const struct mail_index_ext *ext = recall_index_ext_get(map, ext_id);
	struct recall_index_header hdr;

	if (ext == NULL)
		return RECALL_INDEX_EXT_MISSING;
	if (ext->record_offset == 0 || ext->record_size != RECORD_SIZE ||
	    ext->hdr_size < sizeof(hdr))
		return RECALL_INDEX_EXT_FOREIGN;
	memcpy(&hdr, MAIL_INDEX_MAP_HDR_OFFSET(map, ext->hdr_offset),
	       sizeof(hdr));
	return hdr.version == RECALL_INDEX_VERSION ?
		RECALL_INDEX_EXT_USABLE : RECALL_INDEX_EXT_FOREIGN;
}

static int recall_index_ext_resize(struct mail_index_view *view,
				   uint32_t ext_id)
{
	struct mail_index_transaction *trans =
		mail_index_transaction_begin(view, 0);

	mail_index_ext_resize(trans, ext_id, sizeof(struct recall_index_header),
			      RECORD_SIZE, RECORD_ALIGN);
	if (mail_index_transaction_commit(&trans) < 0)
		return -1;
	return mail_index_refresh(view->index);
}

int recall_index_ext_reset(struct mail_index_view *view, uint32_t ext_id)
{
	const struct mail_index_ext *ext =
		recall_index_ext_get(view->index->map, ext_id);
	struct mail_index_transaction *trans;
	uint32_t reset_id = ioloop_time;

	if (ext == NULL)
		return 0;
	/* writers that have not seen the reset must have another id */
	if (reset_id <= ext->reset_id)
		reset_id = ext->reset_id + 1;
	/* one thing at a time: a transaction that resizes and resets writes
	   its records with the old reset id, so that they are dropped */
	if ((ext->record_size != RECORD_SIZE ||
	     ext->hdr_size != sizeof(struct recall_index_header)) &&
	    recall_index_ext_resize(view, ext_id) < 0)
		return -1;
	trans = mail_index_transaction_begin(view, 0);
	mail_index_ext_reset(trans, ext_id, reset_id, TRUE);
	if (mail_index_transaction_commit(&trans) < 0)
		return -1;
	return mail_index_refresh(view->index);
}

void recall_index_ext_set_header(struct mail_index_transaction *trans,
				 uint32_t ext_id, uint32_t highest_uid)
{
	struct recall_index_header hdr = {
		.version = RECALL_INDEX_VERSION,
		.highest_uid = highest_uid,
	};

	mail_index_update_header_ext(trans, ext_id, 0, &hdr, sizeof(hdr));
}

bool recall_index_ext_scan(struct mail_index_view *view, uint32_t ext_id,
			   uint64_t hash, ARRAY_TYPE(seq_range) *uids)
{
	const struct mail_index_map *map = view->map;
	const struct mail_index_ext *ext =
		recall_index_ext_get(view->map, ext_id);
	const struct mail_index_record *rec = map->rec_map->records;
	uint32_t i, count = map->hdr.messages_count;
	size_t rec_size = map->hdr.record_size;
	bool complete = TRUE;
	uint64_t value;

	if (count == 0)
		return TRUE;
	if (ext == NULL ||
	    recall_index_ext_get_state(view, ext_id) != RECALL_INDEX_EXT_USABLE)
		return FALSE;
	/* this loop is what a recall costs: no function call a message */
	for (i = 0; i < count; i++) {
		memcpy(&value, CONST_PTR_OFFSET(rec, ext->record_offset),
		       sizeof(value));
		if (value == hash || value == RECALL_INDEX_HASH_MANY)
			seq_range_array_add(uids, rec->uid);
		else if (value == RECALL_INDEX_HASH_UNKNOWN)
			complete = FALSE;
		rec = CONST_PTR_OFFSET(rec, rec_size);
	}
	return complete;
}

uint64_t recall_index_lookup(struct mail_index_view *view, uint32_t seq)
{
	uint32_t ext_id = recall_index_ext_register(view->index);
	const void *data;
	bool expunged;
	uint64_t value;

	if (recall_index_ext_get_state(view, ext_id) !=
	    RECALL_INDEX_EXT_USABLE)
		return RECALL_INDEX_HASH_UNKNOWN;
	mail_index_lookup_ext(view, seq, ext_id, &data, &expunged);
	if (data == NULL || expunged)
		return RECALL_INDEX_HASH_UNKNOWN;
	memcpy(&value, data, sizeof(value));
	return value;
}

void recall_index_save(struct mailbox_transaction_context *t, uint32_t seq,
		       uint64_t hash)
{
	uint32_t ext_id;

	/* some storages learn of what they saved only from the next sync */
	if (seq < t->itrans->first_new_seq || seq > t->itrans->last_new_seq)
		return;
	ext_id = recall_index_ext_register(t->box->index);
	switch (recall_index_ext_get_state(t->box->view, ext_id)) {
	case RECALL_INDEX_EXT_MISSING:
		recall_index_ext_set_header(t->itrans, ext_id, 0);
		break;
	case RECALL_INDEX_EXT_USABLE:
		break;
	case RECALL_INDEX_EXT_FOREIGN:
		return;
	}
	mail_index_update_ext(t->itrans, seq, ext_id, &hash, NULL);
}

void recall_index_get_info(struct mailbox *box,
			   struct recall_index_info *info_r)
{
	struct mail_index_map *map = box->index->map;
	uint32_t ext_id = recall_index_ext_register(box->index);
	const struct mail_index_ext *ext = recall_index_ext_get(map, ext_id);

	i_zero(info_r);
	if (ext == NULL)
		return;
	info_r->record_size = ext->record_size;
	info_r->record_align = ext->record_align;
	info_r->usable = recall_index_ext_get_state(box->view, ext_id) ==
		RECALL_INDEX_EXT_USABLE;
	if (ext->hdr_size >= sizeof(info_r->hdr)) {
		memcpy(&info_r->hdr,
		       MAIL_INDEX_MAP_HDR_OFFSET(map, ext->hdr_offset),
		       sizeof(info_r->hdr));
	}
}
