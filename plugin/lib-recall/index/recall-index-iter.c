#include "lib.h"
#include "array.h"
#include "recall-index-file.h"

/* A record, and which one it is in the file. */
struct tail_pos {
	struct recall_index_rec rec;
	unsigned int pos;
};

static int tail_pos_cmp(const struct tail_pos *p1, const struct tail_pos *p2)
{
	if (p1->rec.uid != p2->rec.uid)
		return p1->rec.uid < p2->rec.uid ? -1 : 1;
	return p1->pos < p2->pos ? -1 : 1;
}

/* Of equal UIDs the last record counts. */
static void tail_sort(struct recall_index_box_iter *iter)
{
	struct recall_index_rec *recs;
	ARRAY(struct tail_pos) sorted;
	struct tail_pos *pos;
	unsigned int i, count, kept = 0;

	recs = array_get_modifiable(&iter->tail, &count);
	t_array_init(&sorted, count);
	for (i = 0; i < count; i++) {
		pos = array_append_space(&sorted);
		pos->rec = recs[i];
		pos->pos = i;
	}
	array_sort(&sorted, tail_pos_cmp);
	array_foreach_modifiable(&sorted, pos) {
		if (kept > 0 && recs[kept - 1].uid == pos->rec.uid)
			kept--;
		recs[kept++] = pos->rec;
	}
	array_delete(&iter->tail, kept, count - kept);
}

static void tail_load(struct recall_index_box_iter *iter)
{
	struct recall_index_rec rec;
	unsigned int idx = 0;
	uint32_t last_uid = 0;
	bool ordered = TRUE;

	/* at once, as it would take twice the memory to grow */
	t_array_init(&iter->tail, iter->box->tail_count);
	while (recall_index_file_tail_next(iter->file, iter->box, &idx, &rec)) {
		/* as they mostly are */
		if (rec.uid <= last_uid)
			ordered = FALSE;
		last_uid = rec.uid;
		array_push_back(&iter->tail, &rec);
	}
	if (!ordered)
		tail_sort(iter);
}

void recall_index_box_iter_init(struct recall_index_box_iter *iter,
				const struct recall_index_file *file,
				const struct recall_index_box *box)
{
	i_zero(iter);
	iter->file = file;
	iter->box = box;
	if (box != NULL && box->tail_count > 0)
		tail_load(iter);
}

bool recall_index_box_iter_next(struct recall_index_box_iter *iter,
				struct recall_index_rec *rec_r)
{
	const struct recall_index_box *box = iter->box;
	const struct recall_index_rec *tail = NULL;
	uint32_t idx;

	if (array_is_created(&iter->tail) &&
	    iter->tail_idx < array_count(&iter->tail))
		tail = array_idx(&iter->tail, iter->tail_idx);
	if (box != NULL && iter->base_idx < box->count) {
		idx = box->first + iter->base_idx;
		if (tail == NULL || iter->file->uids[idx] < tail->uid) {
			rec_r->uid = iter->file->uids[idx];
			rec_r->hash = iter->file->hashes[idx];
			iter->base_idx++;
			return TRUE;
		}
		if (iter->file->uids[idx] == tail->uid)
			iter->base_idx++;
	}
	if (tail == NULL)
		return FALSE;
	*rec_r = *tail;
	iter->tail_idx++;
	return TRUE;
}
