#include "lib.h"
#include "array.h"
#include "istream.h"
#include "mail-storage-private.h"
#include "failpoint.h"
#include "recall-index.h"
#include "recall-copies.h"
#include "recall-given.h"
#include "recall-limits.h"
#include "recall-mail-iter.h"
#include "recall-mails.h"
#include "recall-sdbox-copy.h"
#include "recall-sdbox-view.h"
#include "recall-settings.h"
#include "recall-stream.h"

#include <sys/stat.h>

static void mails_set_error(struct mailbox *box, const char *what,
			    const char **error_r)
{
	*error_r = t_strdup_printf("%s mailbox %s failed: %s", what,
				   mailbox_get_vname(box),
				   mailbox_get_last_internal_error(box, NULL));
	recall_sdbox_view_close(box);
}

int recall_mails_get_all(struct mailbox *box, ARRAY_TYPE(seq_range) *uids,
			 const char **error_r)
{
	struct mailbox_status status;
	ARRAY_TYPE(seq_range) seqs;

	if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		mails_set_error(box, "Syncing", error_r);
		return -1;
	}
	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	if (status.messages == 0)
		return 0;
	t_array_init(&seqs, 1);
	seq_range_array_add_range(&seqs, 1, status.messages);
	mailbox_get_uid_range(box, &seqs, uids);
	return 0;
}

bool recall_mails_are_files(const struct mailbox *box)
{
	return (box->storage->class_flags &
		MAIL_STORAGE_CLASS_FLAG_FILE_PER_MSG) != 0;
}

int recall_mails_get_count(struct mailbox *box, unsigned int count,
			   ARRAY_TYPE(seq_range) *uids, const char **error_r)
{
	if (recall_mails_get_all(box, uids, error_r) < 0)
		return -1;
	/* mdbox would rebuild all mailboxes of the user, and fails if one of
	   them is marked as deleted */
	if (seq_range_count(uids) >= count || !recall_mails_are_files(box))
		return 0;
	e_warning(box->event, "recall: %u messages instead of %u: "
		  "Rebuilding the index", seq_range_count(uids), count);
	if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ |
			 MAILBOX_SYNC_FLAG_FORCE_RESYNC) < 0) {
		mails_set_error(box, "Rebuilding the index of", error_r);
		return -1;
	}
	array_clear(uids);
	return recall_mails_get_all(box, uids, error_r);
}

static bool mail_is_gone(struct mail *mail)
{
	return mail->expunged ||
		mailbox_get_last_mail_error(mail->box) == MAIL_ERROR_EXPUNGED;
}

/* Returns 1 if ok, 0 if the mail is gone, -1 on errors. */
static int mail_get_guid(struct mail *mail, const char **guid_r)
{
	if (mail_get_special(mail, MAIL_FETCH_GUID, guid_r) < 0)
		return mail_is_gone(mail) ? 0 : -1;
	return 1;
}

static void mail_get_link(struct mail *mail, struct istream *input,
			  struct recall_mails_guid *entry)
{
	const int fd = i_stream_get_fd(input);
	struct stat st;

	if (strcmp(mail->box->storage->name, "maildir") != 0 || fd == -1 ||
	    fstat(fd, &st) < 0 || st.st_nlink < 2)
		return;
	entry->dev = st.st_dev;
	entry->ino = st.st_ino;
}

/* A record in the index is no proof that there is a message. Returns 1 if it
   can be read, 0 if it is gone, -1 on errors. entry (may be NULL) gets the
   link. */
static int mail_try_open(struct mail *mail, struct recall_mails_guid *entry)
{
	struct istream *input;

	if (mail_get_stream(mail, NULL, NULL, &input) < 0)
		return mail_is_gone(mail) ? 0 : -1;
	if (entry != NULL)
		mail_get_link(mail, input, entry);
	return 1;
}

int recall_mails_get_guids(struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   ARRAY_TYPE(recall_mails_guid) *guids,
			   const char **error_r)
{
	struct recall_mail_iter iter;
	struct recall_mails_guid entry;
	struct mail *mail;
	const char *guid;
	int ret = 0;

	recall_mail_iter_init(&iter, box, uids, MAIL_FETCH_GUID, NULL);
	while (ret >= 0 && (mail = recall_mail_iter_next(&iter)) != NULL) {
		i_zero(&entry);
		/* all that reading it takes is given back but this */
		T_BEGIN {
			ret = mail_get_guid(mail, &guid);
			if (ret > 0)
				ret = mail_try_open(mail, &entry);
		} T_END_PASS_STR_IF(ret > 0, &guid);
		if (ret > 0) {
			entry.guid = t_strdup(guid);
			entry.uid = iter.uid;
			array_push_back(guids, &entry);
		}
	}
	if (ret < 0)
		mails_set_error(box, "Reading GUIDs in", error_r);
	recall_mail_iter_rollback(&iter);
	return ret < 0 ? -1 : 0;
}

/* Returns 1 if there is something to read, 0 if the mail is gone, -1 on
   errors. */
static int mail_try_read(struct mail *mail)
{
	struct istream *input;

	if (mail_get_stream(mail, NULL, NULL, &input) < 0)
		return mail_is_gone(mail) ? 0 : -1;
	(void)i_stream_read(input);
	return recall_stream_check(mail, input) < 0 ? -1 : 1;
}

int recall_mails_try_key(struct mailbox *box,
			 const ARRAY_TYPE(seq_range) *uids,
			 const char **error_r)
{
	struct recall_mail_iter iter;
	struct mail *mail;
	int ret = 0;

	if (!recall_settings_copying_decrypts(box->storage->user))
		return 0;
	recall_mail_iter_init(&iter, box, uids, MAIL_FETCH_STREAM_HEADER, NULL);
	while (ret >= 0 && (mail = recall_mail_iter_next(&iter)) != NULL)
		ret = mail_try_read(mail);
	if (ret < 0)
		mails_set_error(box, "Reading", error_r);
	recall_mail_iter_rollback(&iter);
	return ret < 0 ? -1 : 0;
}

/* Candidates for being a copy of the mail are those with its Message-ID. */
static int
mail_find_related(struct mail *mail, struct mailbox *dest,
		  ARRAY_TYPE(seq_range) *uids, const char **error_r)
{
	struct recall_message_id id;
	const char *value;
	int ret;

	ret = mail_get_first_header(mail, "Message-ID", &value);
	if (ret < 0) {
		mails_set_error(mail->box, "Reading", error_r);
		return -1;
	}
	if (ret == 0 ||
	    !recall_message_id_from_header(value, strlen(value), &id))
		return recall_mails_get_all(dest, uids, error_r);
	if (recall_index_find(dest, &id, 0, NULL, uids) < 0) {
		mails_set_error(dest, "Searching", error_r);
		return -1;
	}
	return 0;
}

int recall_mails_get_related(struct mailbox *src,
			     const ARRAY_TYPE(seq_range) *uids,
			     struct mailbox *dest,
			     ARRAY_TYPE(recall_mails_guid) *guids,
			     const char **error_r)
{
	struct recall_mail_iter iter;
	struct mail *mail;
	ARRAY_TYPE(seq_range) related;
	int ret = 0;

	/* not on the data stack: it grows in frames of its own */
	i_array_init(&related, 8);
	recall_mail_iter_init(&iter, src, uids, 0, NULL);
	while (ret >= 0 && (mail = recall_mail_iter_next(&iter)) != NULL) {
		T_BEGIN {
			ret = mail_find_related(mail, dest, &related, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
	}
	recall_mail_iter_rollback(&iter);
	if (ret >= 0 && array_count(&related) > 0)
		ret = recall_mails_get_guids(dest, &related, guids, error_r);
	array_free(&related);
	return ret;
}

bool recall_mails_use_guid(ARRAY_TYPE(recall_mails_guid) *guids,
			   const struct recall_mails_guid *mail,
			   uint32_t *uid_r)
{
	const struct recall_mails_guid *entry, *found = NULL;

	array_foreach(guids, entry) {
		if (strcmp(entry->guid, mail->guid) == 0) {
			found = entry;
			break;
		}
		if (mail->ino != 0 && entry->ino == mail->ino &&
		    entry->dev == mail->dev)
			found = entry;
	}
	if (found == NULL)
		return FALSE;
	*uid_r = found->uid;
	array_delete(guids, array_ptr_to_idx(guids, found), 1);
	return TRUE;
}

static bool mail_has_flags(struct mail *mail)
{
	return (mail_get_flags(mail) & MAIL_FLAGS_NONRECENT) != 0 ||
		*mail_get_keywords(mail) != NULL;
}

static void mail_copy_flags(struct mail *src, struct mail *dest)
{
	const char *const *names = mail_get_keywords(src);
	struct mail_keywords *keywords;

	mail_update_flags(dest, MODIFY_REPLACE,
			  mail_get_flags(src) & MAIL_FLAGS_NONRECENT);
	keywords = mailbox_keywords_create_valid(dest->box, names);
	mail_update_keywords(dest, MODIFY_REPLACE, keywords);
	mailbox_keywords_unref(&keywords);
}

/* The mail is there already. */
static void mail_mend_flags(struct mail *mail, uint32_t dest_uid,
			    struct mailbox_transaction_context *dest_trans)
{
	struct mail *dest;

	if (!mail_has_flags(mail))
		return;
	dest = mail_alloc(dest_trans, MAIL_FETCH_FLAGS, NULL);
	if (mail_set_uid(dest, dest_uid) && !mail_has_flags(dest))
		mail_copy_flags(mail, dest);
	mail_free(&dest);
}

int recall_mails_copy_flags(struct mailbox *src, struct mailbox *dest,
			    const ARRAY_TYPE(recall_mails_copied) *copied,
			    const char **error_r)
{
	const struct recall_mails_copied *copy;
	struct mailbox_transaction_context *trans, *dest_trans;
	struct mail *mail, *dest_mail;

	if (mailbox_sync(dest, 0) < 0) {
		mails_set_error(dest, "Syncing", error_r);
		return -1;
	}
	trans = mailbox_transaction_begin(src, 0, "recall");
	mail = mail_alloc(trans, MAIL_FETCH_FLAGS, NULL);
	dest_trans = mailbox_transaction_begin(dest, 0, "recall");
	dest_mail = mail_alloc(dest_trans, MAIL_FETCH_FLAGS, NULL);
	array_foreach(copied, copy) T_BEGIN {
		if (mail_set_uid(mail, copy->uid) &&
		    mail_set_uid(dest_mail, copy->dest_uid))
			mail_copy_flags(mail, dest_mail);
	} T_END;
	mail_free(&mail);
	mail_free(&dest_mail);
	mailbox_transaction_rollback(&trans);
	/* Maildir writes them when it is synced */
	if (mailbox_transaction_commit(&dest_trans) < 0 ||
	    mailbox_sync(dest, 0) < 0) {
		mails_set_error(dest, "Setting flags in", error_r);
		return -1;
	}
	return 0;
}

/* Returns 1 if dest has the mail then, or has had it, 0 if the mail is gone, -1
   on errors. copied_r: whether it was copied for that. */
static int
mails_copy_one(struct mail *mail, struct mailbox_transaction_context *dest,
	       const struct recall_given *given,
	       ARRAY_TYPE(recall_mails_guid) *guids, bool *copied_r,
	       const char **error_r)
{
	struct mail_save_context *save_ctx;
	struct recall_mails_guid entry;
	uint32_t dest_uid;
	int ret;

	*copied_r = FALSE;
	i_zero(&entry);
	ret = mail_get_guid(mail, &entry.guid);
	if (ret < 0)
		mails_set_error(mail->box, "Reading GUIDs in", error_r);
	if (ret <= 0)
		return ret;
	/* what can't be opened need not be so when it is copied */
	if (!array_is_empty(guids))
		(void)mail_try_open(mail, &entry);
	/* what has no GUID can't be recognized: rather twice than never */
	if (*entry.guid != '\0' &&
	    recall_mails_use_guid(guids, &entry, &dest_uid)) {
		mail_mend_flags(mail, dest_uid, dest);
		return 1;
	}
	if (given != NULL && seq_range_exists(&given->uids, mail->uid))
		return 1;
	save_ctx = mailbox_save_alloc(dest);
	if (given != NULL)
		recall_sdbox_copy_prepare(save_ctx);
	mailbox_save_copy_flags(save_ctx, mail);
	if (mailbox_copy(&save_ctx, mail) == 0) {
		*copied_r = TRUE;
		return 1;
	}
	if (mail->expunged)
		return 0;
	mails_set_error(mailbox_transaction_get_mailbox(dest), "Copying to",
			error_r);
	return -1;
}

/* Returns 1 if all of them can be opened, 0 if uid_r can't be, -1 on errors.
   gone: whether what is gone counts as one that can. */
static int
mails_open(struct mailbox *box, const ARRAY_TYPE(seq_range) *uids, bool gone,
	   uint32_t *uid_r, const char **error_r)
{
	struct recall_mail_iter iter;
	struct mail *mail;
	int ret = 1;

	if (mailbox_sync(box, 0) < 0) {
		mails_set_error(box, "Syncing", error_r);
		return -1;
	}
	RECALL_FAILPOINT("copies-synced");
	recall_mail_iter_init(&iter, box, uids, MAIL_FETCH_STREAM_HEADER, NULL);
	while (ret > 0 && recall_mail_iter_next_uid(&iter, &mail)) T_BEGIN {
		ret = mail == NULL ? gone : mail_try_open(mail, NULL);
	} T_END;
	if (ret < 0)
		mails_set_error(box, "Reading", error_r);
	*uid_r = iter.uid;
	recall_mail_iter_rollback(&iter);
	return ret;
}

/* Opens what has been saved: the caller is about to delete the other copy.
   Where clients are let in they may have taken it away already: that one is
   gone when it is looked at again. */
static int
mails_verify(struct mailbox *box, const ARRAY_TYPE(seq_range) *uids,
	     bool clients, const char **error_r)
{
	uint32_t uid = 0, old_uid;
	int ret;

	do {
		old_uid = uid;
		ret = mails_open(box, uids, clients, &uid, error_r);
	} while (ret == 0 && clients && uid != old_uid);
	if (ret == 0) {
		*error_r = t_strdup_printf("Copying to mailbox %s failed: "
			"The copy (UID %u) can't be opened",
			mailbox_get_vname(box), uid);
	}
	return ret > 0 ? 0 : -1;
}

/* Drops those that the index does not know any more. */
static int
mails_drop_gone(struct mailbox *box, ARRAY_TYPE(seq_range) *uids,
		const char **error_r)
{
	ARRAY_TYPE(seq_range) present;

	t_array_init(&present, array_count(uids) + 1);
	if (recall_mails_get_all(box, &present, error_r) < 0)
		return -1;
	(void)seq_range_array_intersect(uids, &present);
	return 0;
}

/* They are in the order in which they were saved. Returns -1 if the storage
   does not say which ones they are. */
static int
mails_set_dest_uids(struct mailbox *dest,
		    ARRAY_TYPE(recall_mails_copied) *copied,
		    const ARRAY_TYPE(seq_range) *saved_uids,
		    const char **error_r)
{
	struct recall_mails_copied *copy;
	struct seq_range_iter iter;
	unsigned int n = 0;

	if (array_is_empty(copied))
		return 0;
	if (!array_is_created(saved_uids) ||
	    seq_range_count(saved_uids) != array_count(copied)) {
		*error_r = t_strdup_printf("Copying to mailbox %s failed: "
			"It does not tell which UIDs the copies have",
			mailbox_get_vname(dest));
		return -1;
	}
	seq_range_array_iter_init(&iter, saved_uids);
	array_foreach_modifiable(copied, copy)
		(void)seq_range_array_iter_nth(&iter, n++, &copy->dest_uid);
	return 0;
}

/* Returns 1 if all was copied, 0 if nothing was because the message with UID
   gone_r is gone, -1 on errors. */
static int
mails_copy_all(struct mailbox *src, const ARRAY_TYPE(seq_range) *uids,
	       struct mailbox *dest, struct recall_given *given,
	       ARRAY_TYPE(recall_mails_guid) *guids,
	       ARRAY_TYPE(recall_mails_copied) *copied, uint32_t *gone_r,
	       const char **error_r)
{
	struct mailbox_transaction_context *dest_trans;
	struct mail_transaction_commit_changes changes;
	struct recall_mail_iter iter;
	struct recall_mails_copied copy = { .uid = 0 };
	ARRAY_TYPE(seq_range) copied_uids;
	struct mail *mail;
	bool added = FALSE;
	int ret = 1;

	array_clear(copied);
	t_array_init(&copied_uids, array_count(uids) + 1);
	recall_mail_iter_init(&iter, src, uids,
			      MAIL_FETCH_FLAGS | MAIL_FETCH_GUID, NULL);
	dest_trans = mailbox_transaction_begin(dest,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL |
		MAILBOX_TRANSACTION_FLAG_ASSIGN_UIDS, "recall");
	while (ret > 0 && recall_mail_iter_next_uid(&iter, &mail)) {
		T_BEGIN {
			ret = mail == NULL ? 0 :
				mails_copy_one(mail, dest_trans, given, guids,
					       &added, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
		if (ret == 0)
			*gone_r = iter.uid;
		if (ret > 0 && added) {
			copy.uid = iter.uid;
			array_push_back(copied, &copy);
			seq_range_array_add(&copied_uids, copy.uid);
		}
	}
	recall_mail_iter_rollback(&iter);
	if (ret <= 0) {
		/* Not even those that could be copied: sdbox deletes all files
		   of a transaction in which one copy failed. */
		mailbox_transaction_rollback(&dest_trans);
		array_clear(copied);
		return ret;
	}
	if (given != NULL)
		recall_given_write(given, dest_trans, &copied_uids);
	RECALL_FAILPOINT("copies-commit");
	if (mailbox_transaction_commit_get_changes(&dest_trans, &changes) < 0) {
		mails_set_error(dest, "Copying to", error_r);
		array_clear(copied);
		return -1;
	}
	RECALL_FAILPOINT("copies-committed");
	ret = mails_set_dest_uids(dest, copied, &changes.saved_uids, error_r);
	if (ret < 0)
		array_clear(copied);
	else if (!array_is_empty(copied)) {
		ret = mails_verify(dest, &changes.saved_uids, given != NULL,
				   error_r);
	}
	pool_unref(&changes.pool);
	return ret < 0 ? -1 : 1;
}

int recall_mails_copy(struct mailbox *src, ARRAY_TYPE(seq_range) *uids,
		      struct mailbox *dest, struct recall_given *given,
		      const ARRAY_TYPE(recall_mails_guid) *guids,
		      ARRAY_TYPE(recall_mails_copied) *copied,
		      const char **error_r)
{
	ARRAY_TYPE(recall_mails_guid) guids_left;
	unsigned int tries;
	uint32_t gone = 0;
	int ret;

	for (tries = 0; tries < RECALL_COPY_TRIES_MAX; tries++) {
		t_array_init(&guids_left, array_count(guids) + 1);
		array_append_array(&guids_left, guids);
		ret = mails_copy_all(src, uids, dest, given, &guids_left,
				     copied, &gone, error_r);
		if (ret != 0)
			return ret < 0 ? -1 : 0;
		seq_range_array_remove(uids, gone);
		if (mails_drop_gone(src, uids, error_r) < 0)
			return -1;
	}
	*error_r = t_strdup_printf("Copying from mailbox %s failed: "
		RECALL_COPIES_CHANGED, mailbox_get_vname(src));
	return -1;
}

int recall_mails_expunge(struct mailbox *box, const ARRAY_TYPE(seq_range) *uids,
			 const char **error_r)
{
	struct recall_mail_iter iter;
	struct mail *mail;

	if (mailbox_sync(box, 0) < 0) {
		mails_set_error(box, "Syncing", error_r);
		return -1;
	}
	recall_mail_iter_init(&iter, box, uids, 0, NULL);
	while ((mail = recall_mail_iter_next(&iter)) != NULL)
		mail_expunge(mail);
	if (recall_mail_iter_commit(&iter) < 0 || mailbox_sync(box, 0) < 0) {
		mails_set_error(box, "Expunging from", error_r);
		return -1;
	}
	return 0;
}
