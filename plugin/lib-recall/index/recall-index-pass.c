#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-index-view-private.h"
#include "failpoint.h"
#include "recall-index-mail.h"
#include "recall-index-pass.h"
#include "recall-index-stamp.h"
#include "recall-lost-files.h"

/* Messages after which catch-up writes down what it found: what it costs to
   start over when it is stopped. */
#define CATCH_UP_BATCH 16384

static bool pass_matches(struct recall_index_pass *pass, uint64_t hash)
{
	return pass->search_hash != RECALL_INDEX_HASH_UNKNOWN &&
		(hash == pass->search_hash || hash == RECALL_INDEX_HASH_MANY);
}

/* Judges a message by its record or leaves it to be read. */
static void
pass_record(struct recall_index_pass *pass, uint32_t uid, uint64_t hash)
{
	struct recall_index_rec rec = { .hash = hash, .uid = uid };

	if (hash == RECALL_INDEX_HASH_UNKNOWN || pass->verify ||
	    pass->doubtful) {
		array_push_back(&pass->unread, &rec);
		return;
	}
	pass->stats.messages++;
	pass->stats.indexed++;
	if (pass_matches(pass, hash))
		seq_range_array_add(pass->uids, uid);
}

/* TRUE if the mailbox is as it was when all of its messages had a record. The
   view may be older than the record of a message that has just come, not
   newer. */
static bool pass_is_known(struct recall_index_pass *pass)
{
	const struct recall_index_box *rbox = pass->rbox;
	struct mailbox *box = pass->box;
	time_t changed;

	return !pass->verify &&
		pass->search_hash != RECALL_INDEX_HASH_UNKNOWN &&
		rbox != NULL && rbox->stamp != 0 &&
		rbox->name == recall_index_stamp_name(box->name) &&
		rbox->stamp == recall_index_stamp_get(box->list, NULL,
						      box->name, pass->dirs,
						      &changed);
}

static void pass_add_record(struct recall_index_pass *pass, uint32_t uid)
{
	uint32_t seq;

	/* records of messages that have gone are among them */
	if (mail_index_lookup_seq(pass->box->view, uid, &seq))
		seq_range_array_add(pass->uids, uid);
}

/* Returns FALSE if the records can't be read. */
static bool pass_records(struct recall_index_pass *pass)
{
	const struct recall_index_box *rbox = pass->rbox;
	struct recall_index_rec rec;
	ARRAY_TYPE(uint32_t) found;
	unsigned int tail_idx = 0;
	uint32_t idx, uid;

	t_array_init(&found, 8);
	if (recall_index_file_search(pass->file, rbox->first, rbox->count,
				     pass->search_hash, RECALL_INDEX_HASH_MANY,
				     &found) < 0)
		return FALSE;
	array_foreach_elem(&found, idx) {
		uid = recall_index_file_get_uid(pass->file, idx);
		if (uid == 0)
			return FALSE;
		pass_add_record(pass, uid);
	}
	while (recall_index_file_tail_next(pass->file, rbox, &tail_idx, &rec)) {
		if (pass_matches(pass, rec.hash))
			pass_add_record(pass, rec.uid);
	}
	return TRUE;
}

bool recall_index_pass_reach(struct recall_index_box_iter *iter,
			     struct recall_index_rec *rec, uint32_t uid)
{
	while (rec->uid < uid) {
		if (!recall_index_box_iter_next(iter, rec))
			rec->uid = (uint32_t)-1;
	}
	return rec->uid == uid;
}

uint64_t recall_index_pass_hash(struct recall_index_pass *pass,
				struct recall_index_box_iter *iter,
				struct recall_index_rec *rec, uint32_t uid)
{
	return recall_index_pass_reach(iter, rec, uid) &&
		uid < pass->fence.uid ? rec->hash : RECALL_INDEX_HASH_UNKNOWN;
}

bool recall_index_pass_is_within(const struct recall_index_pass *pass)
{
	struct recall_index_sum sum;

	if (pass->fence.sum == RECALL_INDEX_SUM_UNKNOWN)
		return TRUE;
	recall_index_sum_init(&sum, pass->file, pass->rbox);
	return recall_index_sum_until(&sum, pass->fence.uid, NULL, 0) ==
		pass->fence.sum;
}

/* The message of the view. */
static const struct mail_index_record *
map_get_record(const struct mail_index_map *map, uint32_t idx)
{
	return CONST_PTR_OFFSET(map->rec_map->records,
				idx * (size_t)map->hdr.record_size);
}

/* Judges messages from idx on as long as each has the next record, none later
   than that: most of them, which are what a look at a large mailbox costs.
   Returns how many these were. */
static uint32_t
pass_view_run(struct recall_index_pass *pass,
	      struct recall_index_box_iter *iter, uint32_t idx)
{
	const struct mail_index_map *map = pass->box->view->map;
	const struct recall_index_box *rbox = iter->box;
	const struct recall_index_rec *tail;
	const uint64_t *hashes;
	const uint32_t *uids;
	uint32_t i, count, uid, end = pass->fence.uid;

	if (pass->verify || pass->doubtful || rbox == NULL ||
	    iter->base_idx >= rbox->count)
		return 0;
	if (array_is_created(&iter->tail) &&
	    iter->tail_idx < array_count(&iter->tail)) {
		tail = array_idx(&iter->tail, iter->tail_idx);
		end = I_MIN(end, tail->uid);
	}
	uids = iter->file->uids + rbox->first + iter->base_idx;
	hashes = iter->file->hashes + rbox->first + iter->base_idx;
	count = I_MIN(rbox->count - iter->base_idx,
		      map->hdr.messages_count - idx);
	for (i = 0; i < count; i++) {
		uid = map_get_record(map, idx + i)->uid;
		if (uid != uids[i] || uid >= end ||
		    hashes[i] == RECALL_INDEX_HASH_UNKNOWN)
			break;
		if (pass_matches(pass, hashes[i]))
			seq_range_array_add(pass->uids, uid);
	}
	iter->base_idx += i;
	pass->stats.messages += i;
	pass->stats.indexed += i;
	return i;
}

/* Goes through the mailbox's messages and their records. */
static void pass_view(struct recall_index_pass *pass)
{
	const struct mail_index_map *map = pass->box->view->map;
	struct recall_index_box_iter iter;
	struct recall_index_rec rec = { .uid = 0 };
	uint64_t hash;
	uint32_t i = 0, uid;

	pass->next_uid = map->hdr.next_uid;
	recall_index_box_iter_init(&iter, pass->file, pass->rbox);
	while (i < map->hdr.messages_count) {
		uid = map_get_record(map, i)->uid;
		/* rec is the message's, or of one after it */
		if (rec.uid < uid)
			i += pass_view_run(pass, &iter, i);
		if (i == map->hdr.messages_count)
			break;
		uid = map_get_record(map, i)->uid;
		hash = recall_index_pass_hash(pass, &iter, &rec, uid);
		pass_record(pass, uid, hash);
		i++;
	}
}

static uint64_t pass_hash_mail(struct recall_index_pass *pass,
			       struct mail *mail)
{
	const char *const *values;

	return recall_index_get_all_headers(mail, pass->verify, &values) < 0 ?
		RECALL_INDEX_HASH_UNKNOWN : recall_index_hash_headers(values);
}

static void
pass_mail(struct recall_index_pass *pass, struct mail *mail,
	  const struct recall_index_rec *old)
{
	struct recall_index_rec rec = { .uid = old->uid };

	if (!mail_set_uid(mail, old->uid)) {
		pass->passed_over = TRUE;
		return;
	}
	rec.hash = pass_hash_mail(pass, mail);
	if (rec.hash == RECALL_INDEX_HASH_UNKNOWN) {
		if (mailbox_get_last_mail_error(pass->box) ==
		    MAIL_ERROR_EXPUNGED) {
			pass->passed_over = TRUE;
		} else if (!pass->failed) {
			/* what follows must not hide why */
			pass->failed = TRUE;
			mail_storage_last_error_push(pass->box->storage);
		}
		return;
	}
	pass->stats.messages++;
	if (old->hash == RECALL_INDEX_HASH_UNKNOWN)
		pass->stats.added++;
	else {
		pass->stats.indexed++;
		if (old->hash != rec.hash)
			pass->stats.wrong++;
	}
	if (pass_matches(pass, rec.hash))
		seq_range_array_add(pass->uids, rec.uid);
	if (old->hash != rec.hash)
		array_push_back(&pass->recs, &rec);
}

/* Reads the headers of messages whose records are not known or not believed. */
static void pass_read(struct recall_index_pass *pass)
{
	struct mailbox_transaction_context *trans;
	const struct recall_index_rec *old;
	struct mail *mail;

	trans = mailbox_transaction_begin(pass->box, 0, "recall index");
	mail = mail_alloc(trans, 0, NULL);
	RECALL_FAILPOINT("index-read");
	array_foreach(&pass->unread, old) T_BEGIN {
		if (array_count(&pass->recs) == CATCH_UP_BATCH)
			recall_index_pass_flush(pass, old->uid);
		pass_mail(pass, mail, old);
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
}

/* TRUE if there may be mail that the mailbox's index does not know of. With
   dbox the index is the mailbox. */
static bool box_needs_sync(struct mailbox *box)
{
	const struct mail_index_header *hdr;

	if (!recall_index_has_flags(box))
		return TRUE;
	hdr = &box->index->map->hdr;
	return hdr->uid_validity == 0 ||
		(hdr->flags & (MAIL_INDEX_HDR_FLAG_FSCKD |
			       MAIL_INDEX_HDR_FLAG_CORRUPTED)) != 0;
}

static int box_refresh(struct mailbox *box)
{
	if (mail_index_refresh(box->index) == 0)
		return 0;
	mailbox_set_index_error(box);
	return -1;
}

int recall_index_pass_open(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	struct mailbox_metadata metadata;
	unsigned int i;
	uint64_t dirs;

	if (mailbox_open(box) < 0)
		return -1;
	/* syncing may change the directories itself */
	for (i = 0; i < 2; i++) {
		pass->dirs = recall_index_stamp_dirs(box->list, NULL,
						     box->name);
		if ((pass->verify || box_needs_sync(box)) &&
		    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
			return -1;
		dirs = recall_index_stamp_dirs(box->list, NULL, box->name);
		if (dirs == pass->dirs)
			break;
		pass->dirs = 0;
	}
	/* an index that this process had open already is as old as its last
	   use, and a view keeps its map when the index gets a newer one */
	if (box_refresh(box) < 0 ||
	    (box->view->map != box->index->map &&
	     mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) ||
	    mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		return -1;
	guid_128_copy(pass->guid, metadata.guid);
	pass->uid_validity = box->view->map->hdr.uid_validity;
	return 0;
}

void recall_index_pass_load(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const char *error;

	pass->path = recall_index_file_get_path(box->list);
	if (mail_index_is_in_memory(box->index))
		pass->path = NULL;
	if (pass->path == NULL)
		return;
	/* Now, after the mailbox: records that were read before may be of what
	   was in its place then. */
	pass->file = pass->lookup == NULL ? NULL :
		recall_index_lookup_get_file(pass->lookup);
	if (pass->file == NULL &&
	    recall_index_file_open(pass->path, &pass->file, &error) < 0) {
		e_warning(box->event,
			  "recall: Can't read the Message-ID index: %s", error);
	}
	pass->rbox = recall_index_file_find(pass->file, pass->guid,
					    pass->uid_validity);
}

void recall_index_pass_load_records(struct recall_index_pass *pass)
{
	if (pass->file != NULL && recall_index_file_load(pass->file) < 0)
		pass->rbox = NULL;
}

/* Once a mailbox: whoever has written a stamp has looked, and what was lost
   since has another GUID or UIDVALIDITY. */
static void pass_check_files(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;

	if (!recall_index_is_dbox(box->storage) ||
	    (!pass->verify && pass->rbox != NULL && pass->rbox->stamp != 0))
		return;
	pass->checked = TRUE;
	if (recall_lost_files_check(box) < 0) {
		pass->failed = TRUE;
		mail_storage_last_error_push(box->storage);
	}
}

static void pass_deinit(struct recall_index_pass *pass)
{
	recall_index_file_unref(&pass->file);
	array_free(&pass->unread);
	array_free(&pass->recs);
}

int recall_index_pass_run(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;

	i_array_init(&pass->unread, 16);
	i_array_init(&pass->recs, 16);
	if (recall_index_pass_open(pass) < 0) {
		pass_deinit(pass);
		return -1;
	}
	recall_index_pass_load(pass);
	if (pass_is_known(pass) && pass_records(pass)) {
		pass_deinit(pass);
		return 0;
	}
	pass_check_files(pass);
	recall_index_pass_load_records(pass);
	recall_index_fence_get(box->view, &pass->fence);
	pass->doubtful = !recall_index_pass_is_within(pass);
	pass_view(pass);
	if (array_count(&pass->unread) > 0 || pass->doubtful ||
	    pass->fence.sum == RECALL_INDEX_SUM_UNKNOWN) {
		recall_index_sum_init(&pass->sum, pass->file, pass->rbox);
		pass_read(pass);
		recall_index_pass_flush(pass, pass->next_uid);
	}
	/* a mailbox that is about to change needs none but the first one */
	if (!pass->expunge || array_is_empty(pass->uids) || pass->checked)
		recall_index_pass_stamp(pass);
	pass_deinit(pass);
	if (pass->failed) {
		mail_storage_last_error_pop(box->storage);
		return -1;
	}
	return 0;
}
