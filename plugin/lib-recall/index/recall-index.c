#include "lib.h"
#include "array.h"
#include "mail-cache.h"
#include "mail-storage-private.h"
#include "mail-index-view-private.h"
#include "mailbox-list-index.h"
#include "recall-settings.h"
#include "recall-index-ext.h"

/* Messages after which catch-up writes down what it found: what it costs to
   start over when it is stopped. */
#define CATCH_UP_BATCH 16384
/* Records that catch-up must have added before it is worth it to write
   dovecot.index anew. */
#define COMPACT_MIN 256

struct recall_index_pass {
	struct mailbox *box;
	uint32_t ext_id;
	/* hash looked for, RECALL_INDEX_HASH_UNKNOWN if none */
	uint64_t wanted;
	ARRAY_TYPE(seq_range) *uids;
	/* read all headers, whatever the records say */
	bool verify;
	struct recall_index_stats stats;

	struct mailbox_transaction_context *trans;
	struct mail *mail;
	unsigned int batched;
	/* the old records mean nothing */
	bool rebuild:1;
	bool failed:1;
	bool write_failed:1;
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

static void recall_index_pass_begin(struct recall_index_pass *pass)
{
	pass->trans = mailbox_transaction_begin(pass->box, 0, "recall index");
	pass->mail = mail_alloc(pass->trans, 0, NULL);
	pass->batched = 0;
}

static void recall_index_pass_write_failed(struct recall_index_pass *pass)
{
	if (pass->write_failed)
		return;
	pass->write_failed = TRUE;
	e_warning(pass->box->event, "recall: Can't write Message-ID index: %s",
		  mailbox_get_last_internal_error(pass->box, NULL));
}

static void recall_index_pass_commit(struct recall_index_pass *pass)
{
	mail_free(&pass->mail);
	if (mailbox_transaction_commit(&pass->trans) < 0)
		recall_index_pass_write_failed(pass);
}

static void
recall_index_pass_set(struct recall_index_pass *pass, uint32_t seq,
		      uint64_t hash)
{
	struct mail_index_transaction *itrans = pass->trans->itrans;

	if (pass->write_failed)
		return;
	if (pass->batched++ == 0) {
		/* the version must be there before records are trusted */
		recall_index_ext_set_header(itrans, pass->ext_id, 0);
	}
	mail_index_update_ext(itrans, seq, pass->ext_id, &hash, NULL);
	if (pass->batched == CATCH_UP_BATCH) {
		recall_index_pass_commit(pass);
		recall_index_pass_begin(pass);
	}
}

static void recall_index_pass_mail(struct recall_index_pass *pass, uint32_t seq)
{
	uint64_t old = RECALL_INDEX_HASH_UNKNOWN, hash;
	uint32_t uid;

	mail_index_lookup_uid(pass->box->view, seq, &uid);
	if (!pass->rebuild)
		old = recall_index_lookup(pass->box->view, seq);
	hash = old;
	if (old == RECALL_INDEX_HASH_UNKNOWN || pass->verify) {
		mail_set_seq(pass->mail, seq);
		hash = recall_index_hash_mail(pass->mail);
		if (hash == RECALL_INDEX_HASH_UNKNOWN) {
			if (mailbox_get_last_mail_error(pass->box) !=
			    MAIL_ERROR_EXPUNGED)
				pass->failed = TRUE;
			return;
		}
	}
	pass->stats.messages++;
	if (old == RECALL_INDEX_HASH_UNKNOWN)
		pass->stats.added++;
	else {
		pass->stats.indexed++;
		if (old != hash)
			pass->stats.wrong++;
	}
	if (pass->wanted != RECALL_INDEX_HASH_UNKNOWN &&
	    (hash == pass->wanted || hash == RECALL_INDEX_HASH_MANY))
		seq_range_array_add(pass->uids, uid);
	if (old != hash)
		recall_index_pass_set(pass, seq, hash);
}

/* Has dovecot.index written anew. Otherwise everyone who opens the mailbox goes
   through the records in the log, until that is long enough for Dovecot. */
static void recall_index_compact(struct mailbox *box)
{
	if (box->index->need_recreate == NULL)
		box->index->need_recreate = i_strdup("Message-IDs indexed");
	if (mailbox_sync(box, 0) < 0) {
		e_warning(box->event, "recall: Can't write the index anew: %s",
			  mailbox_get_last_internal_error(box, NULL));
	}
}

static void recall_index_pass_finish(struct recall_index_pass *pass)
{
	const struct mail_index_header *hdr =
		mail_index_get_header(pass->box->view);
	struct recall_index_info info;

	recall_index_get_info(pass->box, &info);
	if (!pass->failed && !pass->write_failed && hdr->next_uid > 1 &&
	    (!info.usable || info.hdr.highest_uid != hdr->next_uid - 1)) {
		recall_index_ext_set_header(pass->trans->itrans, pass->ext_id,
					    hdr->next_uid - 1);
	}
	recall_index_pass_commit(pass);
	if (pass->stats.added >= COMPACT_MIN && !pass->write_failed)
		recall_index_compact(pass->box);
}

/* Goes through all messages of box->view. The errors of reads are in the
   storage; that something could not be written was logged. */
static int recall_index_pass_run(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	uint32_t seq, count;

	pass->ext_id = recall_index_ext_register(box->index);
	pass->rebuild = recall_index_ext_get_state(box->view, pass->ext_id) !=
		RECALL_INDEX_EXT_USABLE;
	if (pass->rebuild &&
	    recall_index_ext_reset(box->view, pass->ext_id) < 0) {
		mailbox_set_index_error(box);
		recall_index_pass_write_failed(pass);
	}
	recall_index_pass_begin(pass);
	count = mail_index_view_get_messages_count(box->view);
	for (seq = 1; seq <= count; seq++) T_BEGIN {
		recall_index_pass_mail(pass, seq);
	} T_END;
	if (pass->failed) {
		/* committing must not hide why */
		mail_storage_last_error_push(box->storage);
		recall_index_pass_finish(pass);
		mail_storage_last_error_pop(box->storage);
		return -1;
	}
	recall_index_pass_finish(pass);
	return 0;
}

/* TRUE if the mailbox list index may be out of date without knowing. */
static bool recall_index_list_is_dirty(struct mailbox *box)
{
	if (box->storage->set->mailbox_list_index_very_dirty_syncs)
		return TRUE;
	return strcmp(box->storage->name, "maildir") == 0 &&
		recall_settings_maildir_is_very_dirty(box);
}

/* TRUE if Dovecot's mailbox list index is sure that there is nothing. Asking
   for the mailbox's status would open and sync it if the list index does not
   know. */
static bool recall_index_is_empty(struct mailbox *box)
{
	struct mailbox_status status;
	struct mail_index_view *view;
	const char *reason;
	uint32_t seq;
	bool empty;

	if (box->opened || recall_index_list_is_dirty(box))
		return FALSE;
	if (mailbox_list_index_view_open(box, TRUE, &view, &seq) <= 0)
		return FALSE;
	empty = mailbox_list_index_status(box->list, view, seq, STATUS_MESSAGES,
					  &status, NULL, NULL, &reason) &&
		status.messages == 0;
	mail_index_view_close(&view);
	return empty;
}

/* TRUE if there may be mail that the mailbox's index does not know of. With
   dbox the index is the mailbox. */
static bool recall_index_needs_sync(struct mailbox *box)
{
	const struct mail_index_header *hdr;

	if (strcmp(box->storage->name, "sdbox") != 0 &&
	    strcmp(box->storage->name, "mdbox") != 0)
		return TRUE;
	hdr = &box->index->map->hdr;
	return hdr->uid_validity == 0 ||
		(hdr->flags & (MAIL_INDEX_HDR_FLAG_FSCKD |
			       MAIL_INDEX_HDR_FLAG_CORRUPTED)) != 0;
}

static int recall_index_open(struct mailbox *box)
{
	if (mailbox_open(box) < 0)
		return -1;
	return mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ);
}

int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      bool verify, ARRAY_TYPE(seq_range) *uids_r)
{
	struct recall_index_pass pass = {
		.box = box,
		.wanted = recall_index_hash(id),
		.uids = uids_r,
		.verify = verify,
	};
	uint32_t ext_id;

	if (verify) {
		return recall_index_open(box) < 0 ? -1 :
			recall_index_pass_run(&pass);
	}
	if (recall_index_is_empty(box))
		return 0;
	if (mailbox_open(box) < 0)
		return -1;
	if (recall_index_needs_sync(box)) {
		if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
			return -1;
	}
	/* an index that this process had open already is as old as its last
	   use */
	if (mail_index_refresh(box->index) < 0) {
		mailbox_set_index_error(box);
		return -1;
	}
	/* a view keeps its map when the index gets a newer one */
	if (box->view->map != box->index->map &&
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	ext_id = recall_index_ext_register(box->index);
	if (recall_index_ext_scan(box->view, ext_id, pass.wanted, uids_r))
		return 0;
	if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	return recall_index_pass_run(&pass);
}

int recall_index_update(struct mailbox *box, bool verify,
			struct recall_index_stats *stats)
{
	struct recall_index_pass pass = {
		.box = box,
		.verify = verify,
	};
	int ret;

	if (recall_index_open(box) < 0)
		return -1;
	ret = recall_index_pass_run(&pass);
	stats->messages += pass.stats.messages;
	stats->indexed += pass.stats.indexed;
	stats->added += pass.stats.added;
	stats->wrong += pass.stats.wrong;
	return pass.write_failed ? -1 : ret;
}

int recall_index_dump(struct mailbox *box, recall_index_callback_t *callback,
		      void *context)
{
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	const char *const *values;
	uint32_t seq, count;
	int ret = 0;

	if (recall_index_open(box) < 0)
		return -1;
	trans = mailbox_transaction_begin(box, 0, "recall index dump");
	mail = mail_alloc(trans, 0, NULL);
	count = mail_index_view_get_messages_count(box->view);
	for (seq = 1; seq <= count; seq++) T_BEGIN {
		mail_set_seq(mail, seq);
		if (recall_mail_get_headers(mail, &values) >= 0) {
			callback(mail->uid, recall_index_lookup(box->view, seq),
				 values, context);
		} else if (mailbox_get_last_mail_error(box) !=
			   MAIL_ERROR_EXPUNGED) {
			ret = -1;
		}
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	return ret;
}
