#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "failpoint.h"
#include "recall-index.h"
#include "recall-quarantine-settings.h"
#include "recall-mail-index.h"
#include "recall-mail-log.h"
#include "recall-mail-standing.h"

#define RECALL_MAILBOX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, recall_mailbox_module)
#define RECALL_TRANS_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_mailbox_module)

/* What a transaction has saved. */
struct recall_transaction {
	union mailbox_transaction_module_context module_ctx;

	/* one for each message, in the order of their UIDs */
	ARRAY_TYPE(uint64_t) hashes;
	/* the numbers, from 0 on, of those that come from elsewhere */
	ARRAY_TYPE(seq_range) arrived;
	/* the last UID that the caller has chosen, 0 if it chose none */
	uint32_t last_uid;
	/* they may come in another order */
	bool unordered;
	/* the message just saved is being copied */
	bool copied;
	/* the Message-ID index is */
	bool is_long;
	/* see recall_mail_log_is_behind() */
	bool behind;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_mailbox_module,
				  &mail_storage_module_register);

static struct recall_transaction *
recall_transaction_get(struct mailbox_transaction_context *t)
{
	struct recall_transaction *rt = RECALL_TRANS_CONTEXT(t);

	if (rt == NULL) {
		rt = i_new(struct recall_transaction, 1);
		i_array_init(&rt->hashes, 8);
		i_array_init(&rt->arrived, 2);
		rt->behind = recall_mail_log_is_behind(t->box);
		MODULE_CONTEXT_SET(t, recall_mailbox_module, rt);
	}
	return rt;
}

static void recall_transaction_free(struct recall_transaction *rt)
{
	if (rt == NULL)
		return;
	array_free(&rt->hashes);
	array_free(&rt->arrived);
	i_free(rt);
}

/* Notes the message that was just saved or copied. mail is what it can be read
   from, or NULL; uncached as for recall_index_hash_mail(). */
static void
recall_saved(struct mailbox_transaction_context *t, uint32_t uid,
	     struct mail *mail, bool uncached, bool arrived)
{
	struct recall_transaction *rt = recall_transaction_get(t);
	uint64_t hash = RECALL_INDEX_HASH_UNKNOWN;

	if (uid != 0 && uid <= rt->last_uid)
		rt->unordered = TRUE;
	else if (uid == 0 && rt->last_uid != 0)
		rt->unordered = TRUE;
	rt->last_uid = uid;
	/* a header that can't be read is left to catch-up */
	if (mail != NULL) T_BEGIN {
		hash = recall_index_hash_mail(mail, uncached);
	} T_END;
	if (arrived)
		seq_range_array_add(&rt->arrived, array_count(&rt->hashes));
	array_push_back(&rt->hashes, &hash);
}

static int recall_save_finish(struct mail_save_context *ctx)
{
	union mailbox_module_context *rbox =
		RECALL_MAILBOX_CONTEXT(ctx->transaction->box);
	bool copying = ctx->copying_via_save;
	uint32_t uid = ctx->data.uid;

	if (rbox->super.save_finish(ctx) < 0)
		return -1;
	if (copying) {
		/* recall_copy() knows the source */
		recall_transaction_get(ctx->transaction)->copied = TRUE;
	} else {
		/* some storages learn of what they saved only from the next
		   sync */
		recall_saved(ctx->transaction, uid, ctx->dest_mail != NULL &&
			     ctx->dest_mail->seq != 0 ? ctx->dest_mail : NULL,
			     FALSE, TRUE);
	}
	return 0;
}

static int recall_copy(struct mail_save_context *ctx, struct mail *mail)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	union mailbox_module_context *rbox = RECALL_MAILBOX_CONTEXT(t->box);
	uint32_t uid = ctx->data.uid;
	struct recall_transaction *rt = recall_transaction_get(t);

	rt->copied = FALSE;
	if (rbox->super.copy(ctx, mail) < 0)
		return -1;
	/* who copies by reading leaves the source uncached */
	recall_saved(t, uid, mail, rt->copied,
		     !recall_mail_standing_is_own(t->box, mail));
	return 0;
}

static struct mailbox_transaction_context *
recall_transaction_begin(struct mailbox *box,
			 enum mailbox_transaction_flags flags,
			 const char *reason)
{
	union mailbox_module_context *rbox = RECALL_MAILBOX_CONTEXT(box);

	if ((flags & MAILBOX_TRANSACTION_FLAG_EXTERNAL) != 0)
		recall_mail_standing_begin(box);
	return rbox->super.transaction_begin(box, flags, reason);
}

static int recall_transaction_save_commit_pre(struct mail_save_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	union mailbox_module_context *rbox = RECALL_MAILBOX_CONTEXT(t->box);
	struct recall_transaction *rt = RECALL_TRANS_CONTEXT(t);
	struct mailbox_metadata metadata;

	if (rt == NULL || rt->unordered)
		return rbox->super.transaction_save_commit_pre(ctx);
	/* nothing is locked yet */
	mail_storage_last_error_push(t->box->storage);
	if (mailbox_get_metadata(t->box, MAILBOX_METADATA_GUID, &metadata) < 0)
		i_zero(&metadata);
	mail_storage_last_error_pop(t->box->storage);
	if (rbox->super.transaction_save_commit_pre(ctx) < 0)
		return -1;
	T_BEGIN {
		rt->is_long = recall_index_save(t, metadata.guid, &rt->hashes);
	} T_END;
	return 0;
}

static int
recall_transaction_commit(struct mailbox_transaction_context *t,
			  struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox *box = t->box;
	union mailbox_module_context *rbox = RECALL_MAILBOX_CONTEXT(box);
	struct recall_transaction *rt = RECALL_TRANS_CONTEXT(t);
	bool external = (t->flags & MAILBOX_TRANSACTION_FLAG_EXTERNAL) != 0;
	int ret;

	ret = rbox->super.transaction_commit(t, changes_r);
	if (ret == 0 && rt != NULL) T_BEGIN {
		/* the caller may still want to see the last error */
		mail_storage_last_error_push(box->storage);
		RECALL_FAILPOINT("index-committed");
		if (rt->is_long)
			recall_index_compact(box);
		recall_mail_standing_saved(box, &changes_r->saved_uids,
					   &rt->hashes, &rt->arrived,
					   !rt->unordered);
		if (rt->behind)
			recall_mail_log_catch_up(box);
		mail_storage_last_error_pop(box->storage);
	} T_END;
	recall_transaction_free(rt);
	if (external)
		recall_mail_standing_end(box);
	return ret;
}

static void
recall_transaction_rollback(struct mailbox_transaction_context *t)
{
	union mailbox_module_context *rbox = RECALL_MAILBOX_CONTEXT(t->box);
	struct recall_transaction *rt = RECALL_TRANS_CONTEXT(t);
	bool external = (t->flags & MAILBOX_TRANSACTION_FLAG_EXTERNAL) != 0;
	struct mailbox *box = t->box;

	rbox->super.transaction_rollback(t);
	recall_transaction_free(rt);
	if (external)
		recall_mail_standing_end(box);
}

void recall_mail_index_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *rbox;

	/* What is saved through a virtual mailbox is saved into another one. In
	   the quarantine nothing is searched for. */
	if (box->virtual_vfuncs != NULL ||
	    recall_quarantine_is_namespace(mailbox_get_namespace(box)))
		return;
	rbox = p_new(box->pool, union mailbox_module_context, 1);
	rbox->super = *v;
	box->vlast = &rbox->super;

	v->save_finish = recall_save_finish;
	v->copy = recall_copy;
	v->transaction_begin = recall_transaction_begin;
	v->transaction_save_commit_pre = recall_transaction_save_commit_pre;
	v->transaction_commit = recall_transaction_commit;
	v->transaction_rollback = recall_transaction_rollback;
	MODULE_CONTEXT_SET_SELF(box, recall_mailbox_module, rbox);
}
