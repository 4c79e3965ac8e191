#include "lib.h"
#include "array.h"
#include "mail-index-view-private.h"
#include "mail-storage-private.h"
#include "recall-expunge-log.h"

#define EXPUNGE_LOG_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_expunge_log_module)

static MODULE_CONTEXT_DEFINE_INIT(recall_expunge_log_module,
				  &mail_index_module_register);

static int
expunge_log_commit(struct mail_index_transaction *t,
		   struct mail_index_transaction_commit_result *result_r)
{
	struct recall_expunge_log *log = EXPUNGE_LOG_CONTEXT(t);

	if (log->module_ctx.super.commit(t, result_r) < 0)
		return -1;
	if (result_r->commit_size > 0 &&
	    result_r->log_file_offset >= result_r->commit_size) {
		log->seq = result_r->log_file_seq;
		log->offset = result_r->log_file_offset -
			result_r->commit_size;
	}
	return 0;
}

void recall_expunge_log_init(struct recall_expunge_log *log_r,
			     struct mailbox_transaction_context *trans)
{
	struct mail_index_transaction *t = trans->itrans;
	const struct mail_index_view *view = trans->box->view;

	i_zero(log_r);
	log_r->index = view->index;
	log_r->seen_seq = view->log_file_expunge_seq;
	log_r->seen_offset = view->log_file_expunge_offset;
	log_r->module_ctx.super = t->v;
	t->v.commit = expunge_log_commit;
	MODULE_CONTEXT_SET(t, recall_expunge_log_module, log_r);
}

static void
expunge_log_drop(const struct mail_transaction_header *hdr, const void *data,
		 ARRAY_TYPE(seq_range) *uids)
{
	const void *end = CONST_PTR_OFFSET(data, hdr->size);
	const struct mail_transaction_expunge_guid *mail;

	/* without MAIL_TRANSACTION_EXPUNGE_PROT, which a view takes away;
	   MAIL_TRANSACTION_EXPUNGE was Dovecot 1's */
	if ((hdr->type & MAIL_TRANSACTION_TYPE_MASK) !=
	    MAIL_TRANSACTION_EXPUNGE_GUID)
		return;
	for (mail = data; (const void *)(mail + 1) <= end; mail++)
		seq_range_array_remove(uids, mail->uid);
}

void recall_expunge_log_drop_others(const struct recall_expunge_log *log,
				    ARRAY_TYPE(seq_range) *uids)
{
	const struct mail_transaction_header *hdr;
	struct mail_transaction_log_view *view;
	const char *reason;
	const void *data;
	bool reset;

	/* nearly always there is nothing in between. A log that somebody has
	   begun anew, whose number may be a lower one, has none of it. */
	if (log->seq < log->seen_seq || (log->seq == log->seen_seq &&
					 log->offset <= log->seen_offset))
		return;
	view = mail_transaction_log_view_open(log->index->log);
	if (mail_transaction_log_view_set(view, log->seen_seq, log->seen_offset,
					  log->seq, log->offset, &reset,
					  &reason) > 0) {
		while (mail_transaction_log_view_next(view, &hdr, &data) > 0)
			expunge_log_drop(hdr, data, uids);
	}
	mail_transaction_log_view_close(&view);
}
