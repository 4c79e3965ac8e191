#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "recall-index-mail.h"
#include "recall-index-pass.h"

static int
dump_mail(struct mail *mail, uint64_t hash, recall_index_callback_t *callback,
	  void *context)
{
	const char *const *values;

	if (recall_index_get_all_headers(mail, FALSE, &values) < 0) {
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
	uint64_t hash;
	int ret = 0;

	if (recall_index_pass_open(&pass) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	recall_index_pass_load(&pass);
	recall_index_pass_load_records(&pass);
	recall_index_fence_get(box->view, &pass.fence);
	recall_index_box_iter_init(&iter, pass.file, pass.rbox);
	trans = mailbox_transaction_begin(box, 0, "recall index dump");
	mail = mail_alloc(trans, 0, NULL);
	count = mail_index_view_get_messages_count(box->view);
	for (seq = 1; seq <= count; seq++) T_BEGIN {
		mail_set_seq(mail, seq);
		hash = recall_index_pass_hash(&pass, &iter, &rec, mail->uid);
		if (dump_mail(mail, hash, callback, context) < 0)
			ret = -1;
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	recall_index_file_unref(&pass.file);
	return ret;
}
