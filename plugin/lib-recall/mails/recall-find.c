#include "lib.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-search.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-lost-files.h"
#include "recall-mail-iter.h"
#include "recall-match.h"
#include "recall-query.h"
#include "recall-find.h"

struct recall_find_context {
	struct mailbox *box;
	const struct recall_criteria *criteria;
	const struct recall_find_wanted *wanted;
	recall_find_callback_t *callback;
	void *context;
	unsigned int *other_sender_count;
};

/* Something was gone before it could be judged. */
static void find_set_gone(struct recall_find_context *ctx)
{
	if (ctx->wanted->gone != NULL)
		*ctx->wanted->gone = TRUE;
}

/* Returns 1 to go on, 0 to end the search, -1 on error. */
static int find_check_mail(struct recall_find_context *ctx, struct mail *mail)
{
	const struct recall_criteria *criteria = ctx->criteria;
	int ret;

	if (criteria->message_id != NULL) {
		ret = recall_match_message_id(mail, criteria->message_id,
					      criteria->verify_headers);
		if (ret == 0 && mail->expunged)
			find_set_gone(ctx);
		if (ret <= 0)
			return ret < 0 ? -1 : 1;
	}
	if (criteria->leave_out != NULL &&
	    criteria->leave_out(mail, criteria->leave_out_context))
		return 1;
	if (criteria->senders != NULL) {
		ret = recall_match_sender(mail, criteria->senders);
		if (ret < 0)
			return -1;
		if (ret == 0) {
			*ctx->other_sender_count += 1;
			return 1;
		}
	}
	return ctx->callback(mail, ctx->context) ? 1 : 0;
}

static struct mailbox_header_lookup_ctx *
find_wanted_headers(struct recall_find_context *ctx)
{
	ARRAY_TYPE(const_string) names;
	const char *const *header, *name;

	t_array_init(&names, 8);
	for (header = ctx->wanted->headers;
	     header != NULL && *header != NULL; header++)
		array_push_back(&names, header);
	if (ctx->criteria->message_id != NULL) {
		name = "Message-ID";
		array_push_back(&names, &name);
	}
	if (ctx->criteria->senders != NULL) {
		name = "From";
		array_push_back(&names, &name);
	}
	if (array_is_empty(&names))
		return NULL;
	array_append_zero(&names);
	return mailbox_header_lookup_init(ctx->box, array_front(&names));
}

static int find_by_id(struct recall_find_context *ctx)
{
	struct mailbox_header_lookup_ctx *headers;
	enum recall_index_find_flags flags = 0;
	struct recall_mail_iter iter;
	ARRAY_TYPE(seq_range) uids;
	struct mail *mail;
	int find_ret, ret = 1;

	t_array_init(&uids, 8);
	if (ctx->criteria->verify_headers)
		flags |= RECALL_INDEX_FIND_VERIFY;
	if (ctx->wanted->expunge)
		flags |= RECALL_INDEX_FIND_EXPUNGE;
	find_ret = recall_index_find(ctx->box, ctx->criteria->message_id,
				     flags, ctx->wanted->lookup, &uids);
	if (find_ret > 0)
		find_set_gone(ctx);
	if (array_is_empty(&uids))
		return find_ret < 0 ? -1 : 0;

	headers = find_wanted_headers(ctx);
	recall_mail_iter_init(&iter, ctx->box, &uids, ctx->wanted->fields,
			      headers);
	mailbox_header_lookup_unref(&headers);
	while (ret > 0 && (mail = recall_mail_iter_next(&iter)) != NULL) {
		T_BEGIN {
			ret = find_check_mail(ctx, mail);
		} T_END;
	}
	/* Not committed: what was read of messages that will go need not get
	   into dovecot.index.cache, and Dovecot notes each change of a mailbox
	   in the mailbox list index (recall-list-index.h). */
	recall_mail_iter_rollback(&iter);
	return ret < 0 || find_ret < 0 ? -1 : 0;
}

/* Whether it is worth while to open the mailbox at all. */
static bool find_query_may_match(struct recall_find_context *ctx)
{
	return recall_query_may_be_in(ctx->criteria->search_args,
		mailbox_get_vname(ctx->box),
		mail_namespace_get_sep(mailbox_get_namespace(ctx->box)));
}

static int find_by_query(struct recall_find_context *ctx)
{
	struct mail_search_args *args = ctx->criteria->search_args;
	struct mailbox_transaction_context *trans;
	struct mailbox_header_lookup_ctx *headers;
	struct mail_search_context *search_ctx;
	struct mail *mail;
	int ret = 1;

	if (!find_query_may_match(ctx))
		return 0;
	if (mailbox_open(ctx->box) < 0 ||
	    mailbox_sync(ctx->box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;

	mail_search_args_init(args, ctx->box, FALSE, NULL);
	trans = mailbox_transaction_begin(ctx->box, 0, __func__);
	headers = find_wanted_headers(ctx);
	search_ctx = mailbox_search_init(trans, args, NULL,
					 ctx->wanted->fields, headers);
	mailbox_header_lookup_unref(&headers);
	while (ret > 0 && mailbox_search_next(search_ctx, &mail)) T_BEGIN {
		ret = find_check_mail(ctx, mail);
	} T_END;
	if (mailbox_search_deinit(&search_ctx) < 0)
		ret = -1;
	if (mailbox_transaction_commit(&trans) < 0)
		ret = -1;
	mail_search_args_deinit(args);
	if (ret >= 0 && !ctx->wanted->arrived)
		ret = recall_lost_files_check(ctx->box);
	return ret < 0 ? -1 : 0;
}

int recall_find_in_box(struct mailbox *box,
		       const struct recall_criteria *criteria,
		       const struct recall_find_wanted *wanted,
		       recall_find_callback_t *callback, void *context,
		       unsigned int *other_sender_count)
{
	struct recall_find_context ctx = {
		.box = box,
		.criteria = criteria,
		.wanted = wanted,
		.callback = callback,
		.context = context,
		.other_sender_count = other_sender_count,
	};
	int ret;

	ret = criteria->message_id != NULL ?
		find_by_id(&ctx) : find_by_query(&ctx);
	if (ret < 0 &&
	    mailbox_get_last_mail_error(box) == MAIL_ERROR_NOTFOUND) {
		/* since it was listed it was deleted, or renamed, back again
		   even */
		find_set_gone(&ctx);
		return 0;
	}
	return ret;
}
