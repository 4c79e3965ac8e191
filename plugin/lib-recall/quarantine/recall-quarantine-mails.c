#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "recall-index.h"
#include "recall-quarantine-mails.h"

static void mails_set_error(struct mailbox *box, const char *what,
			    const char **error_r)
{
	*error_r = t_strdup_printf("%s mailbox %s failed: %s", what,
				   mailbox_get_vname(box),
				   mailbox_get_last_internal_error(box, NULL));
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

/* Returns 1 if ok, 0 if the mail is gone, -1 on errors. */
static int mail_get_guid(struct mail *mail, const char **guid_r)
{
	if (mail_get_special(mail, MAIL_FETCH_GUID, guid_r) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	return 1;
}

int recall_mails_get_guids(struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   ARRAY_TYPE(const_string) *guids,
			   const char **error_r)
{
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid;
	const char *guid;
	int ret = 0;

	trans = mailbox_transaction_begin(box, 0, __func__);
	mail = mail_alloc(trans, MAIL_FETCH_GUID, NULL);
	seq_range_array_iter_init(&iter, uids);
	while (ret >= 0 && seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (!mail_set_uid(mail, uid))
			continue;
		ret = mail_get_guid(mail, &guid);
		if (ret > 0) {
			guid = t_strdup(guid);
			array_push_back(guids, &guid);
		}
	}
	if (ret < 0)
		mails_set_error(box, "Reading GUIDs in", error_r);
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
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
	if (recall_index_find(dest, &id, FALSE, uids) < 0) {
		mails_set_error(dest, "Searching", error_r);
		return -1;
	}
	return 0;
}

int recall_mails_get_related(struct mailbox *src,
			     const ARRAY_TYPE(seq_range) *uids,
			     struct mailbox *dest,
			     ARRAY_TYPE(const_string) *guids,
			     const char **error_r)
{
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	struct seq_range_iter iter;
	ARRAY_TYPE(seq_range) related;
	unsigned int n = 0;
	uint32_t uid;
	int ret = 0;

	t_array_init(&related, 8);
	trans = mailbox_transaction_begin(src, 0, __func__);
	mail = mail_alloc(trans, 0, NULL);
	seq_range_array_iter_init(&iter, uids);
	while (ret >= 0 && seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (mail_set_uid(mail, uid))
			ret = mail_find_related(mail, dest, &related, error_r);
	}
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	if (ret < 0 || array_count(&related) == 0)
		return ret;
	return recall_mails_get_guids(dest, &related, guids, error_r);
}

bool recall_mails_use_guid(ARRAY_TYPE(const_string) *guids, const char *guid)
{
	const char *const *guidp;

	array_foreach(guids, guidp) {
		if (strcmp(*guidp, guid) == 0) {
			array_delete(guids, array_foreach_idx(guids, guidp), 1);
			return TRUE;
		}
	}
	return FALSE;
}

/* Returns 1 if dest has the mail then, 0 if the mail is gone, -1 on errors. */
static int
mails_copy_one(struct mail *mail, struct mailbox_transaction_context *dest,
	       ARRAY_TYPE(const_string) *guids, const char **error_r)
{
	struct mail_save_context *save_ctx;
	const char *guid;
	int ret;

	ret = mail_get_guid(mail, &guid);
	if (ret < 0)
		mails_set_error(mail->box, "Reading GUIDs in", error_r);
	if (ret <= 0)
		return ret;
	/* what has no GUID can't be recognized: rather twice than never */
	if (*guid != '\0' && recall_mails_use_guid(guids, guid))
		return 1;
	save_ctx = mailbox_save_alloc(dest);
	mailbox_save_copy_flags(save_ctx, mail);
	if (mailbox_copy(&save_ctx, mail) == 0)
		return 1;
	if (mail->expunged)
		return 0;
	mails_set_error(mailbox_transaction_get_mailbox(dest), "Copying to",
			error_r);
	return -1;
}

int recall_mails_copy(struct mailbox *src, ARRAY_TYPE(seq_range) *uids,
		      struct mailbox *dest, ARRAY_TYPE(const_string) *guids,
		      const char **error_r)
{
	struct mailbox_transaction_context *src_trans, *dest_trans;
	struct mail *mail;
	struct seq_range_iter iter;
	ARRAY_TYPE(seq_range) gone;
	unsigned int n = 0;
	uint32_t uid;
	int ret = 0;

	t_array_init(&gone, 2);
	src_trans = mailbox_transaction_begin(src, 0, __func__);
	dest_trans = mailbox_transaction_begin(dest,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL, "recall");
	mail = mail_alloc(src_trans, MAIL_FETCH_FLAGS | MAIL_FETCH_GUID, NULL);
	seq_range_array_iter_init(&iter, uids);
	while (ret >= 0 && seq_range_array_iter_nth(&iter, n++, &uid)) {
		ret = !mail_set_uid(mail, uid) ? 0 :
			mails_copy_one(mail, dest_trans, guids, error_r);
		if (ret == 0)
			seq_range_array_add(&gone, uid);
	}
	mail_free(&mail);
	if (ret < 0) {
		mailbox_transaction_rollback(&dest_trans);
	} else if (mailbox_transaction_commit(&dest_trans) < 0) {
		mails_set_error(dest, "Copying to", error_r);
		ret = -1;
	}
	mailbox_transaction_rollback(&src_trans);
	seq_range_array_remove_seq_range(uids, &gone);
	return ret < 0 ? -1 : 0;
}
