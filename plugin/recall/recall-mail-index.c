#include "lib.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-mail-index.h"

#define RECALL_MAILBOX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, recall_mailbox_module)

static MODULE_CONTEXT_DEFINE_INIT(recall_mailbox_module,
				  &mail_storage_module_register);

/* The hash of a mail that is copied: from its own mailbox's index or from its
   header. RECALL_INDEX_HASH_UNKNOWN if it can't be read. */
static uint64_t recall_get_source_hash(struct mail *mail)
{
	uint64_t hash = recall_index_lookup(mail->transaction->view, mail->seq);

	return hash != RECALL_INDEX_HASH_UNKNOWN ? hash :
		recall_index_hash_mail(mail);
}

/* Writes the record of the message that was just saved or copied. source is
   the mail that it is a copy of, or NULL. */
static void recall_saved(struct mail_save_context *ctx, struct mail *source)
{
	uint64_t hash;

	/* a storage that gives no sequence before it has synced, or a header
	   that can't be read: catch-up does it */
	if (ctx->dest_mail == NULL || ctx->dest_mail->seq == 0)
		return;
	T_BEGIN {
		/* what is copied has mostly been parsed already; what was
		   saved must be read back */
		hash = source != NULL ? recall_get_source_hash(source) :
			recall_index_hash_mail(ctx->dest_mail);
		if (hash != RECALL_INDEX_HASH_UNKNOWN) {
			recall_index_save(ctx->transaction,
					  ctx->dest_mail->seq, hash);
		}
	} T_END;
}

static int recall_save_finish(struct mail_save_context *ctx)
{
	union mailbox_module_context *rbox =
		RECALL_MAILBOX_CONTEXT(ctx->transaction->box);
	bool copying = ctx->copying_via_save;

	if (rbox->super.save_finish(ctx) < 0)
		return -1;
	/* recall_copy() knows the source */
	if (!copying)
		recall_saved(ctx, NULL);
	return 0;
}

static int recall_copy(struct mail_save_context *ctx, struct mail *mail)
{
	union mailbox_module_context *rbox =
		RECALL_MAILBOX_CONTEXT(ctx->transaction->box);

	if (rbox->super.copy(ctx, mail) < 0)
		return -1;
	recall_saved(ctx, mail);
	return 0;
}

void recall_mail_index_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *rbox;

	/* what is saved through a virtual mailbox is saved into another one */
	if (box->virtual_vfuncs != NULL)
		return;
	rbox = p_new(box->pool, union mailbox_module_context, 1);
	rbox->super = *v;
	box->vlast = &rbox->super;

	v->save_finish = recall_save_finish;
	v->copy = recall_copy;
	MODULE_CONTEXT_SET_SELF(box, recall_mailbox_module, rbox);
}
