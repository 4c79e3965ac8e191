#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "mail-storage-private.h"
#include "mail-index-view-private.h"
#include "failpoint.h"
#include "recall-index-pass.h"
#include "recall-index-stamp.h"

void recall_index_pass_write_failed(struct recall_index_pass *pass,
				    const char *error)
{
	if (pass->write_failed)
		return;
	pass->write_failed = TRUE;
	e_warning(pass->box->event, "recall: Can't write Message-ID index: %s",
		  error);
}

static void pass_append(struct recall_index_pass *pass, const buffer_t *blocks)
{
	const char *error;

	if (recall_index_file_append(pass->box->list, pass->path, blocks,
				     &error) < 0)
		recall_index_pass_write_failed(pass, error);
}

/* Whether the fence says something else than that the records below the UID
   have that sum. It moves back only if what it says is not true. */
static bool
pass_moves_fence(const struct recall_index_pass *pass, uint32_t uid,
		 uint32_t sum)
{
	return uid > pass->fence.uid || pass->doubtful ||
		(uid == pass->fence.uid && sum != pass->fence.sum);
}

static void
pass_move_fence(struct recall_index_pass *pass, uint32_t uid, uint32_t sum)
{
	pass->fence.uid = uid;
	pass->fence.sum = sum;
	if (recall_index_fence_move(pass->box->index, &pass->fence) < 0) {
		mail_index_reset_error(pass->box->index);
		recall_index_pass_write_failed(pass,
			"Can't write to dovecot.index");
	}
}

void recall_index_pass_flush(struct recall_index_pass *pass, uint32_t next_uid)
{
	buffer_t *blocks;
	const struct recall_index_rec *recs;
	unsigned int count;
	uint32_t sum;

	if (pass->path == NULL || pass->write_failed)
		return;
	recs = array_get(&pass->recs, &count);
	sum = recall_index_sum_until(&pass->sum, next_uid, recs, count);
	if (count > 0) {
		blocks = buffer_create_dynamic(default_pool, 1024);
		recall_index_block_mails(blocks, pass->guid,
					 pass->uid_validity, recs, count);
		pass_append(pass, blocks);
		buffer_free(&blocks);
		array_clear(&pass->recs);
		pass->appended = TRUE;
		RECALL_FAILPOINT("index-unfenced");
	}
	/* in this order: a record beyond the fence is read again, one within it
	   that is another message's is believed */
	if (!pass->write_failed && !pass->failed &&
	    pass_moves_fence(pass, next_uid, sum))
		pass_move_fence(pass, next_uid, sum);
}

/* Whether the index has a record for each message. */
static bool pass_is_written(struct recall_index_pass *pass)
{
	const struct mail_index_map *map = pass->box->view->map;
	const struct mail_index_record *mrec = map->rec_map->records;
	struct recall_index_box_iter iter;
	struct recall_index_rec rec = { .uid = 0 };
	uint32_t i;

	recall_index_box_iter_init(&iter, pass->file, pass->rbox);
	for (i = 0; i < map->hdr.messages_count; i++) {
		if (!recall_index_pass_reach(&iter, &rec, mrec->uid))
			return FALSE;
		mrec = CONST_PTR_OFFSET(mrec, map->hdr.record_size);
	}
	return TRUE;
}

/* Into the index that the records are in: it may have been compacted since it
   was read, but it may as well have been lost or replaced by an old one, as it
   was before our own records. */
static void pass_append_stamp(struct recall_index_pass *pass,
			      const buffer_t *blocks)
{
	struct mailbox_list *list = pass->box->list;
	const char *error;
	int ret = 0;

	if (!pass->appended) {
		ret = recall_index_file_append_to(pass->file, list, pass->path,
						  blocks, &error);
	}
	if (ret == 0) {
		recall_index_file_unref(&pass->file);
		recall_index_pass_load(pass);
		recall_index_pass_load_records(pass);
		if (!pass_is_written(pass) ||
		    !recall_index_pass_is_within(pass))
			return;
		ret = recall_index_file_append_to(pass->file, list, pass->path,
						  blocks, &error);
	}
	if (ret < 0)
		recall_index_pass_write_failed(pass, error);
}

void recall_index_pass_stamp(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const uint64_t name = recall_index_stamp_name(box->name);
	const struct mail_index_header *hdr;
	uint64_t stamp;
	time_t changed;
	buffer_t *blocks;

	if (pass->path == NULL || pass->failed || pass->write_failed ||
	    pass->passed_over || pass->dirs == 0 ||
	    pass->dirs != recall_index_stamp_dirs(box->list, NULL, box->name))
		return;
	/* in this order: it is known what all up to the stamp has brought */
	stamp = recall_index_stamp_get(box->list, NULL, box->name, pass->dirs,
				       &changed);
	if (stamp == 0 || (pass->rbox != NULL && pass->rbox->stamp == stamp &&
			   pass->rbox->name == name))
		return;
	if (mail_index_refresh(box->index) < 0) {
		mail_index_reset_error(box->index);
		return;
	}
	hdr = &box->index->map->hdr;
	if (hdr->next_uid != pass->next_uid ||
	    hdr->uid_validity != pass->uid_validity)
		return;
	blocks = t_buffer_create(128);
	recall_index_block_stamp(blocks, pass->guid, pass->uid_validity, name,
				 stamp);
	pass_append_stamp(pass, blocks);
}
