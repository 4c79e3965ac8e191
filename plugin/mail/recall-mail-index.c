#include "lib.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-mail-index.h"

#define RECALL_MAILBOX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, recall_mailbox_module)

struct recall_mailbox {
	union mailbox_module_context module_ctx;
	/* the Message-ID header; NULL until the first save */
	struct mailbox_header_lookup_ctx *headers;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_mailbox_module,
				  &mail_storage_module_register);

static int
recall_save_begin(struct mail_save_context *ctx, struct istream *input)
{
	static const char *const headers[] = { "Message-ID", NULL };
	struct mailbox *box = ctx->transaction->box;
	struct recall_mailbox *rbox = RECALL_MAILBOX_CONTEXT(box);

	/* the header is picked out while the message passes through, so that
	   nothing is read back from the disk */
	if (rbox->headers == NULL)
		rbox->headers = mailbox_header_lookup_init(box, headers);
	mail_add_temp_wanted_fields(ctx->dest_mail, 0, rbox->headers);
	return rbox->module_ctx.super.save_begin(ctx, input);
}

/* Writes the record of a message that was just saved to the transaction. */
static void recall_saved(struct mail_save_context *ctx, struct mail *mail)
{
	const char *value;

	/* a storage that gives no sequence before it has synced, or a header
	   that can't be read: catch-up does it */
	if (mail == NULL || mail->seq == 0)
		return;
	if (mail_get_first_header(mail, "Message-ID", &value) < 0)
		return;
	recall_index_save(ctx->transaction, mail->seq,
			  recall_index_hash_header(value));
}

static int recall_save_finish(struct mail_save_context *ctx)
{
	struct recall_mailbox *rbox =
		RECALL_MAILBOX_CONTEXT(ctx->transaction->box);
	struct mail *mail = ctx->dest_mail;

	if (rbox->module_ctx.super.save_finish(ctx) < 0)
		return -1;
	T_BEGIN {
		recall_saved(ctx, mail);
	} T_END;
	return 0;
}

/* The hash of a mail that was copied, from its own mailbox's index or from the
   header; RECALL_INDEX_HASH_UNKNOWN if it can't be read. */
static uint64_t recall_get_hash(struct mail *mail)
{
	const char *value;
	uint64_t hash = recall_index_lookup(mail->transaction->view, mail->seq);

	if (hash != RECALL_INDEX_HASH_UNKNOWN)
		return hash;
	if (mail_get_first_header(mail, "Message-ID", &value) < 0)
		return RECALL_INDEX_HASH_UNKNOWN;
	return recall_index_hash_header(value);
}

static int recall_copy(struct mail_save_context *ctx, struct mail *mail)
{
	struct recall_mailbox *rbox =
		RECALL_MAILBOX_CONTEXT(ctx->transaction->box);
	uint64_t hash;

	if (rbox->module_ctx.super.copy(ctx, mail) < 0)
		return -1;
	/* a copy made by saving went through recall_save_finish() */
	if (ctx->copying_via_save || ctx->dest_mail == NULL ||
	    ctx->dest_mail->seq == 0)
		return 0;
	T_BEGIN {
		hash = recall_get_hash(mail);
		if (hash != RECALL_INDEX_HASH_UNKNOWN) {
			recall_index_save(ctx->transaction,
					  ctx->dest_mail->seq, hash);
		}
	} T_END;
	return 0;
}

static void recall_mailbox_close(struct mailbox *box)
{
	struct recall_mailbox *rbox = RECALL_MAILBOX_CONTEXT(box);

	if (rbox->headers != NULL)
		mailbox_header_lookup_unref(&rbox->headers);
	rbox->module_ctx.super.close(box);
}

void recall_mail_index_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	struct recall_mailbox *rbox;

	rbox = p_new(box->pool, struct recall_mailbox, 1);
	rbox->module_ctx.super = *v;
	box->vlast = &rbox->module_ctx.super;

	v->save_begin = recall_save_begin;
	v->save_finish = recall_save_finish;
	v->copy = recall_copy;
	v->close = recall_mailbox_close;
	MODULE_CONTEXT_SET(box, recall_mailbox_module, rbox);
}
