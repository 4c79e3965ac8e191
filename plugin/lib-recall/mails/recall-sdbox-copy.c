#include "lib.h"
#include "mail-storage-private.h"
#include "sdbox-storage.h"
#include "dbox-file.h"
#include "recall-sdbox-copy.h"

#define SDBOX_COPY_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_sdbox_copy_module)

static MODULE_CONTEXT_DEFINE_INIT(recall_sdbox_copy_module,
				  &mail_module_register);

static void sdbox_copy_set_seq(struct mail *mail, uint32_t seq, bool saving)
{
	struct mail_private *pmail = (struct mail_private *)mail;
	union mail_module_context *cmail = SDBOX_COPY_CONTEXT(pmail);
	struct dbox_file *file;
	bool deleted;

	cmail->super.set_seq(mail, seq, saving);
	mail->lookup_abort = MAIL_LOOKUP_ABORT_NEVER;
	/* what is copied by reading it is yet to be written */
	if (!saving || mail->transaction->save_ctx->copying_via_save)
		return;
	file = sdbox_save_file_get_file(mail->transaction, seq);
	if (dbox_file_open(file, &deleted) <= 0 || deleted)
		mail->lookup_abort = MAIL_LOOKUP_ABORT_NOT_IN_CACHE;
}

void recall_sdbox_copy_prepare(struct mail_save_context *ctx)
{
	struct mail_private *pmail = (struct mail_private *)ctx->dest_mail;
	union mail_module_context *cmail;

	if (strcmp(ctx->transaction->box->storage->name,
		   SDBOX_STORAGE_NAME) != 0 ||
	    SDBOX_COPY_CONTEXT(pmail) != NULL)
		return;
	cmail = p_new(pmail->pool, union mail_module_context, 1);
	cmail->super = pmail->v;
	pmail->v.set_seq = sdbox_copy_set_seq;
	MODULE_CONTEXT_SET_SELF(pmail, recall_sdbox_copy_module, cmail);
}
