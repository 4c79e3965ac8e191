#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "mail-cache.h"
#include "mail-storage-private.h"
#include "mail-index-view-private.h"
#include "failpoint.h"
#include "recall-index-fence.h"
#include "recall-index-file.h"
#include "recall-index-stamp.h"
#include "recall-index.h"

/* Messages after which catch-up writes down what it found: what it costs to
   start over when it is stopped. */
#define CATCH_UP_BATCH 16384

struct recall_index_pass {
	struct mailbox *box;
	/* NULL if there is no index */
	const char *path;
	struct recall_index_file *file;
	/* the mailbox in it, NULL if it is new */
	struct recall_index_box *rbox;
	guid_128_t guid;
	uint32_t uid_validity, next_uid, fence;
	/* what the directories looked like before the mailbox was synced */
	uint64_t dirs;

	/* hash searched for, RECALL_INDEX_HASH_UNKNOWN if none */
	uint64_t search_hash;
	ARRAY_TYPE(seq_range) *uids;
	/* read all headers, whatever the records say */
	bool verify;
	struct recall_index_stats stats;

	/* messages to read, and what their records say */
	ARRAY(struct recall_index_rec) unread;
	/* records to write */
	ARRAY(struct recall_index_rec) recs;
	bool failed:1;
	bool write_failed:1;
	/* there are records that were not in the index when it was read */
	bool appended:1;
};

static int recall_mail_get_headers(struct mail *mail,
				   const char *const **values_r)
{
	struct mail_private *pmail = (struct mail_private *)mail;
	struct mailbox_transaction_context *t = mail->transaction;
	bool decide = (t->flags & MAILBOX_TRANSACTION_FLAG_NO_CACHE_DEC) == 0;
	int ret;

	/* that we look at a header says nothing of what clients will want */
	if (decide)
		mail_cache_view_update_cache_decisions(t->cache_view, FALSE);
	pmail->v.set_uid_cache_updates(mail, TRUE);
	ret = mail_get_headers(mail, "Message-ID", values_r);
	pmail->v.set_uid_cache_updates(mail, FALSE);
	if (decide)
		mail_cache_view_update_cache_decisions(t->cache_view, TRUE);
	return ret;
}

uint64_t recall_index_hash_mail(struct mail *mail)
{
	const char *const *values;

	if (recall_mail_get_headers(mail, &values) < 0)
		return RECALL_INDEX_HASH_UNKNOWN;
	return recall_index_hash_headers(values);
}

static void pass_write_failed(struct recall_index_pass *pass, const char *error)
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
		pass_write_failed(pass, error);
}

/* Writes the records down. The messages below next_uid have all been judged, so
   the fence can move there. */
static void pass_flush(struct recall_index_pass *pass, uint32_t next_uid)
{
	buffer_t *blocks;

	if (pass->path == NULL || pass->write_failed)
		return;
	if (array_count(&pass->recs) > 0) {
		blocks = buffer_create_dynamic(default_pool, 1024);
		recall_index_block_mails(blocks, pass->guid,
					 pass->uid_validity,
					 array_front(&pass->recs),
					 array_count(&pass->recs));
		pass_append(pass, blocks);
		buffer_free(&blocks);
		array_clear(&pass->recs);
		pass->appended = TRUE;
		RECALL_FAILPOINT("index-unfenced");
	}
	/* in this order: a record beyond the fence is read again, one within it
	   that is another message's is believed */
	if (!pass->write_failed && !pass->failed && pass->fence < next_uid) {
		if (recall_index_fence_move(pass->box->index, next_uid) < 0) {
			mail_index_reset_error(pass->box->index);
			pass_write_failed(pass, "Can't write to dovecot.index");
		}
		pass->fence = next_uid;
	}
}

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

	if (hash == RECALL_INDEX_HASH_UNKNOWN || pass->verify) {
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

/* Goes on to the record of the UID, or to the next one. Returns whether there
   is one of it. */
static bool rec_reach(struct recall_index_box_iter *iter,
		      struct recall_index_rec *rec, uint32_t uid)
{
	while (rec->uid < uid) {
		if (!recall_index_box_iter_next(iter, rec))
			rec->uid = (uint32_t)-1;
	}
	return rec->uid == uid;
}

/* The hash of the message, if its record can be believed. */
static uint64_t pass_hash(struct recall_index_pass *pass,
			  struct recall_index_box_iter *iter,
			  struct recall_index_rec *rec, uint32_t uid)
{
	return rec_reach(iter, rec, uid) && uid < pass->fence ? rec->hash :
		RECALL_INDEX_HASH_UNKNOWN;
}

/* Goes through the mailbox's messages and their records. */
static void pass_view(struct recall_index_pass *pass)
{
	const struct mail_index_map *map = pass->box->view->map;
	const struct mail_index_record *mrec = map->rec_map->records;
	struct recall_index_box_iter iter;
	struct recall_index_rec rec = { .uid = 0 };
	uint32_t i;

	pass->next_uid = map->hdr.next_uid;
	recall_index_box_iter_init(&iter, pass->file, pass->rbox);
	for (i = 0; i < map->hdr.messages_count; i++) {
		pass_record(pass, mrec->uid,
			    pass_hash(pass, &iter, &rec, mrec->uid));
		mrec = CONST_PTR_OFFSET(mrec, map->hdr.record_size);
	}
}

static void
pass_mail(struct recall_index_pass *pass, struct mail *mail,
	  const struct recall_index_rec *old)
{
	struct recall_index_rec rec = { .uid = old->uid };

	if (!mail_set_uid(mail, old->uid))
		return;
	rec.hash = recall_index_hash_mail(mail);
	if (rec.hash == RECALL_INDEX_HASH_UNKNOWN) {
		if (mailbox_get_last_mail_error(pass->box) !=
		    MAIL_ERROR_EXPUNGED && !pass->failed) {
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
	array_foreach(&pass->unread, old) T_BEGIN {
		if (array_count(&pass->recs) == CATCH_UP_BATCH)
			pass_flush(pass, old->uid);
		pass_mail(pass, mail, old);
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
}

static bool box_is_dbox(struct mailbox *box)
{
	return strcmp(box->storage->name, "sdbox") == 0 ||
		strcmp(box->storage->name, "mdbox") == 0;
}

/* TRUE if there may be mail that the mailbox's index does not know of. With
   dbox the index is the mailbox. */
static bool box_needs_sync(struct mailbox *box)
{
	const struct mail_index_header *hdr;

	if (!box_is_dbox(box))
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

/* Has box->index know of all mail that there is. */
static int pass_open(struct recall_index_pass *pass)
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

static void pass_load(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const char *error;

	pass->path = recall_index_file_get_path(box->list);
	if (mail_index_is_in_memory(box->index))
		pass->path = NULL;
	if (pass->path == NULL)
		return;
	if (recall_index_file_open(pass->path, &pass->file, &error) < 0) {
		e_warning(box->event,
			  "recall: Can't read the Message-ID index: %s", error);
	}
	pass->rbox = recall_index_file_find(pass->file, pass->guid,
					    pass->uid_validity);
}

/* Reads all of the index. Without it all headers are read. */
static void pass_load_records(struct recall_index_pass *pass)
{
	if (pass->file != NULL && recall_index_file_load(pass->file) < 0)
		pass->rbox = NULL;
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
		if (!rec_reach(&iter, &rec, mrec->uid))
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
		recall_index_file_free(&pass->file);
		pass_load(pass);
		pass_load_records(pass);
		if (!pass_is_written(pass))
			return;
		ret = recall_index_file_append_to(pass->file, list, pass->path,
						  blocks, &error);
	}
	if (ret < 0)
		pass_write_failed(pass, error);
}

/* All messages have records: says so, if the mailbox still is as it was. */
static void pass_stamp(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const uint64_t name = recall_index_stamp_name(box->name);
	const struct mail_index_header *hdr;
	uint64_t stamp;
	time_t changed;
	buffer_t *blocks;

	if (pass->path == NULL || pass->failed || pass->write_failed ||
	    pass->dirs == 0 ||
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

static void pass_deinit(struct recall_index_pass *pass)
{
	recall_index_file_free(&pass->file);
	array_free(&pass->unread);
	array_free(&pass->recs);
}

/* Judges all messages. The errors of reads are in the storage; that something
   could not be written was logged. */
static int pass_run(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;

	i_array_init(&pass->unread, 16);
	i_array_init(&pass->recs, 16);
	if (pass_open(pass) < 0) {
		pass_deinit(pass);
		return -1;
	}
	pass_load(pass);
	if (pass_is_known(pass) && pass_records(pass)) {
		pass_deinit(pass);
		return 0;
	}
	pass_load_records(pass);
	pass->fence = recall_index_fence_get(box->view);
	pass_view(pass);
	if (array_count(&pass->unread) > 0) {
		pass_read(pass);
		pass_flush(pass, pass->next_uid);
	}
	pass_stamp(pass);
	pass_deinit(pass);
	if (pass->failed) {
		mail_storage_last_error_pop(box->storage);
		return -1;
	}
	return 0;
}

int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      bool verify, ARRAY_TYPE(seq_range) *uids_r)
{
	struct recall_index_pass pass = {
		.box = box,
		.search_hash = recall_index_hash(id),
		.uids = uids_r,
		.verify = verify,
	};
	int ret;

	T_BEGIN {
		ret = pass_run(&pass);
	} T_END;
	return ret;
}

static bool keep_record(const struct recall_index_box *rbox, uint32_t uid,
			void *context)
{
	struct recall_index_pass *pass = context;
	uint32_t seq;

	/* what was saved meanwhile is not in the view */
	return uid == 0 || rbox->uid_validity != pass->uid_validity ||
		!guid_128_equals(rbox->guid, pass->guid) ||
		uid >= pass->next_uid ||
		mail_index_lookup_seq(pass->box->view, uid, &seq);
}

/* Drops records that nobody needs: old ones, and those of messages that have
   gone. */
static void pass_clean(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const char *error;
	int ret;

	if (pass->path == NULL)
		return;
	ret = recall_index_fence_drop_old(box->index);
	if (ret > 0) {
		if (box->index->need_recreate == NULL)
			box->index->need_recreate =
				i_strdup("Message-IDs moved");
		ret = mailbox_sync(box, 0);
	}
	if (ret < 0) {
		mail_index_reset_error(box->index);
		pass_write_failed(pass, "Can't drop old records");
	}
	if (recall_index_file_compact(box->list, pass->path, keep_record, pass,
				      &error) < 0)
		pass_write_failed(pass, error);
}

int recall_index_update(struct mailbox *box, bool verify,
			struct recall_index_stats *stats_r)
{
	struct recall_index_pass pass = {
		.box = box,
		.verify = verify,
	};
	int ret;

	if (mailbox_open(box) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	T_BEGIN {
		ret = pass_run(&pass);
		if (ret == 0 && !pass.write_failed)
			pass_clean(&pass);
	} T_END;
	*stats_r = pass.stats;
	guid_128_copy(stats_r->id.guid, pass.guid);
	stats_r->id.uid_validity = pass.uid_validity;
	return pass.write_failed ? -1 : ret;
}

static int
dump_mail(struct mail *mail, uint64_t hash, recall_index_callback_t *callback,
	  void *context)
{
	const char *const *values;

	if (recall_mail_get_headers(mail, &values) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	callback(mail->uid, hash, values, context);
	return 0;
}

int recall_index_dump(struct mailbox *box, recall_index_callback_t *callback,
		      void *context)
{
	struct recall_index_pass pass = { .box = box };
	struct mailbox_transaction_context *trans;
	struct recall_index_box_iter iter;
	struct recall_index_rec rec = { .uid = 0 };
	struct mail *mail;
	uint32_t seq, count;
	int ret = 0;

	if (pass_open(&pass) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	pass_load(&pass);
	pass_load_records(&pass);
	pass.fence = recall_index_fence_get(box->view);
	recall_index_box_iter_init(&iter, pass.file, pass.rbox);
	trans = mailbox_transaction_begin(box, 0, "recall index dump");
	mail = mail_alloc(trans, 0, NULL);
	count = mail_index_view_get_messages_count(box->view);
	for (seq = 1; seq <= count; seq++) T_BEGIN {
		mail_set_seq(mail, seq);
		if (dump_mail(mail, pass_hash(&pass, &iter, &rec, mail->uid),
			      callback, context) < 0)
			ret = -1;
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	recall_index_file_free(&pass.file);
	return ret;
}
