#include "lib.h"
#include "array.h"
#include "guid.h"
#include "str-sanitize.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "recall-boxes.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "recall-index.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-plugin.h"

struct index_cmd_context {
	bool verify, dump;
	/* only this mailbox, or NULL; who is named and has none is told */
	const char *mailbox;
	bool named;
	struct recall_rows *rows;

	/* of the user and mailbox being dumped */
	const char *username, *vname;
	/* the user's mailboxes; not all if there was an error */
	ARRAY_TYPE(recall_index_id) ids;
	bool incomplete;
};

static void index_user_error(struct index_cmd_context *ctx,
			     const char *username, int exit_code,
			     const char *error)
{
	recall_rows_set_exit_code(ctx->rows, exit_code);
	if (ctx->dump) {
		i_error("%s: %s", username, error);
	} else {
		recall_rows_add_known(ctx->rows,
			RECALL_COLUMN_USERNAME, username,
			RECALL_COLUMN_ERROR, error, NULL);
	}
}

static const char *index_hash_to_string(uint64_t hash)
{
	switch (hash) {
	case RECALL_INDEX_HASH_UNKNOWN:
		return "unknown";
	case RECALL_INDEX_HASH_NONE:
		return "none";
	case RECALL_INDEX_HASH_MANY:
		return "many";
	}
	return t_strdup_printf("%016"PRIx64, hash);
}

static void
index_dump_mail(uint32_t uid, uint64_t indexed, const char *const *values,
		void *context)
{
	struct index_cmd_context *ctx = context;
	struct recall_rows *rows = ctx->rows;
	struct recall_message_id id;
	const char *id_str = NULL;

	if (values[0] != NULL &&
	    recall_message_id_from_header(values[0], strlen(values[0]), &id))
		id_str = str_sanitize(id.data, RECALL_MESSAGE_ID_MAX);
	recall_rows_add(rows, ctx->username);
	recall_rows_add(rows, ctx->vname);
	recall_rows_add(rows, dec2str(uid));
	recall_rows_add(rows, index_hash_to_string(indexed));
	recall_rows_add(rows,
		indexed == recall_index_hash_headers(values) ? "ok" :
		indexed == RECALL_INDEX_HASH_UNKNOWN ? "missing" : "wrong");
	recall_rows_add(rows, id_str);
}

static const char *index_box_get_guid(struct mailbox *box)
{
	struct mailbox_metadata metadata;

	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		return "";
	return guid_128_to_string(metadata.guid);
}

static void
index_box_run(struct index_cmd_context *ctx, struct mail_user *user,
	      const char *username, struct mailbox *box)
{
	struct recall_index_stats stats = { .messages = 0 };
	struct recall_rows *rows = ctx->rows;
	const char *error = NULL, *vname = mailbox_get_vname(box);
	int ret;

	ctx->username = username;
	ctx->vname = vname;
	if (ctx->dump)
		ret = recall_index_dump(box, index_dump_mail, ctx);
	else
		ret = recall_index_update(box, ctx->verify, &stats);
	if (ret < 0) {
		/* deleted since it was listed? */
		if (mailbox_get_last_mail_error(box) == MAIL_ERROR_NOTFOUND)
			return;
		error = t_strdup(mailbox_get_last_internal_error(box, NULL));
		recall_rows_set_exit_code(rows, EX_TEMPFAIL);
		ctx->incomplete = TRUE;
	}
	array_push_back(&ctx->ids, &stats.id);
	if (!ctx->dump) {
		recall_rows_add(rows, username);
		recall_rows_add(rows, vname);
		recall_rows_add(rows, index_box_get_guid(box));
		recall_rows_add(rows, dec2str(stats.messages));
		recall_rows_add(rows, dec2str(stats.indexed));
		recall_rows_add(rows, dec2str(stats.added));
		recall_rows_add(rows, dec2str(stats.wrong));
		recall_rows_add(rows, user->username);
		recall_rows_add(rows, error);
	} else if (error != NULL) {
		i_error("%s: Mailbox %s: %s", username, vname, error);
	}
}

/* Drops what the index has of mailboxes that are not there any more. */
static void
index_drop_deleted(struct index_cmd_context *ctx, struct mail_user *user)
{
	struct mail_namespace *ns;

	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (recall_boxes_are_in(ns)) T_BEGIN {
			recall_index_drop_others(ns->list, &ctx->ids);
		} T_END;
	}
}

static void
index_cmd_run(void *context, struct mail_user *user, const char *username)
{
	struct index_cmd_context *ctx = context;
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *error;
	bool found = ctx->mailbox == NULL;

	i_array_init(&ctx->ids, 32);
	ctx->incomplete = ctx->dump || ctx->mailbox != NULL;
	/* the same mailboxes as a recall looks through */
	iter = recall_boxes_iter_init(user);
	while ((box = recall_boxes_iter_next(iter)) != NULL) {
		if (ctx->mailbox == NULL ||
		    strcmp(ctx->mailbox, mailbox_get_vname(box)) == 0) T_BEGIN {
			found = TRUE;
			index_box_run(ctx, user, username, box);
		} T_END;
		mailbox_free(&box);
	}
	if (recall_boxes_iter_deinit(&iter, &error) < 0)
		index_user_error(ctx, username, EX_TEMPFAIL, error);
	else if (!found && ctx->named)
		index_user_error(ctx, username, DOVEADM_EX_NOTFOUND,
				 t_strdup_printf("There is no mailbox %s",
						 ctx->mailbox));
	else if (!ctx->incomplete)
		index_drop_deleted(ctx, user);
	array_free(&ctx->ids);
}

static void
index_cmd_unseen(void *context, const char *username,
		 enum recall_verdict verdict ATTR_UNUSED, const char *error)
{
	index_user_error(context, username, EX_TEMPFAIL, error);
}

static bool index_cmd_may_spread(void *context)
{
	const struct index_cmd_context *ctx = context;

	return !ctx->dump;
}

static const struct recall_users_callbacks index_callbacks = {
	.may_spread = index_cmd_may_spread,
	.run = index_cmd_run,
	.unseen = index_cmd_unseen,
};

static struct recall_rows *
index_init_rows(const struct doveadm_cmd_context *cctx, bool dump)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_USERNAME },
		{ .name = RECALL_COLUMN_MAILBOX },
		{ .name = RECALL_COLUMN_MAILBOX_GUID,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = "messages", .flags = RECALL_COLUMN_FLAG_NUMBER },
		{ .name = "indexed", .flags = RECALL_COLUMN_FLAG_NUMBER },
		{ .name = "added", .flags = RECALL_COLUMN_FLAG_NUMBER },
		{ .name = "wrong", .flags = RECALL_COLUMN_FLAG_NUMBER },
		/* processes don't know what the others have looked at */
		{ .name = RECALL_COLUMN_MAILBOX_USER,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_ERROR },
	};
	static const struct recall_column dump_columns[] = {
		{ .name = RECALL_COLUMN_USERNAME },
		{ .name = RECALL_COLUMN_MAILBOX },
		{ .name = RECALL_COLUMN_UID },
		{ .name = "hash" },
		{ .name = "state" },
		{ .name = RECALL_COLUMN_MESSAGE_ID },
	};

	return dump ?
		recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, dump_columns,
				 N_ELEMENTS(dump_columns)) :
		recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				 N_ELEMENTS(columns));
}

static void cmd_recall_index(struct doveadm_cmd_context *cctx)
{
	struct index_cmd_context ctx;

	i_zero(&ctx);
	if (recall_cmd_params_check(cctx) < 0)
		return;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_VERIFY, &ctx.verify);
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_DUMP, &ctx.dump);
	(void)doveadm_cmd_param_str(cctx, RECALL_PARAM_MAILBOX, &ctx.mailbox);
	ctx.named = recall_users_are_named(cctx);
	if (ctx.verify && ctx.dump) {
		recall_cmd_error(cctx, EX_USAGE,
				 "--verify and --dump exclude each other");
		return;
	}
	ctx.rows = index_init_rows(cctx, ctx.dump);
	(void)recall_users_run(cctx, ctx.rows, &index_callbacks, &ctx);
	recall_rows_deinit(&ctx.rows);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_index = {
	.name = RECALL_CMD_INDEX,
	.cmd = cmd_recall_index,
	.usage = RECALL_CMD_USERS_USAGE" [--verify|--dump] "
		RECALL_CMD_SWEEP_USAGE" [--mailbox <mailbox>]",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_SWEEP_PARAMS
DOVEADM_CMD_PARAM('V', RECALL_PARAM_VERIFY, CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('d', RECALL_PARAM_DUMP, CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('m', RECALL_PARAM_MAILBOX, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
