#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-tenant.h"
#include "doveadm-recall-params.h"
#include "recall-events.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-report.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-row-read.h"
#include "doveadm-recall-standing.h"
#include "doveadm-recall-users.h"
#include "recall-quarantine.h"
#include "recall-quarantine-record.h"
#include "doveadm-recall-plugin.h"

struct recall_restore_context {
	const struct doveadm_cmd_context *cctx;
	struct recall_request request;
	struct recall_verdict_rows *vrows;
	unsigned int users;
	/* somebody has something of the recall, or it is not known whether */
	bool known;
};

static void
restore_print(struct recall_restore_context *ctx, const struct recall_row *row)
{
	enum recall_verdict verdict = row->outcome.verdict;

	ctx->users++;
	if (verdict != RECALL_VERDICT_NOT_FOUND &&
	    verdict != RECALL_VERDICT_NO_USER)
		ctx->known = TRUE;
	recall_row_print(ctx->vrows, row);
}

/* What the report has of the message. Where the record can't be read the
   report has less, that is all. */
static void
restore_report_message(struct recall_quarantine *q,
		       const struct recall_request *request, pool_t pool)
{
	struct recall_quarantine_record record;
	const char *error;

	if (request->reporter == NULL ||
	    recall_quarantine_record_read(q, pool, request->order.recall_id,
					  &record, &error) <= 0)
		return;
	recall_reporter_set_message(request->reporter, record.message_id,
				    record.subject, record.from, record.date);
}

static int
restore_user(struct mail_user *user, const struct recall_request *request,
	     pool_t pool, struct recall_quarantine_restored *restored_r,
	     const char **error_r)
{
	struct recall_quarantine q;
	int ret;

	i_zero(restored_r);
	ret = recall_quarantine_init(user, &q, error_r);
	if (ret > 0 && request->dry_run) {
		ret = recall_quarantine_preview(&q, pool,
						request->order.recall_id,
						restored_r, error_r);
		recall_quarantine_deinit(&q);
		return ret;
	}
	if (ret > 0)
		ret = recall_quarantine_lock_old(&q, error_r);
	if (ret > 0) {
		ret = recall_quarantine_restore(&q, pool,
						request->order.recall_id,
						restored_r, error_r);
		if (restored_r->found)
			restore_report_message(&q, request, pool);
	}
	recall_quarantine_deinit(&q);
	return ret;
}

/* A recall that is undone for everyone stands for nobody any more. Whoever gets
   the message back alone is known by the record of it. */
static void restore_end_order(struct recall_restore_context *ctx,
			      struct mail_storage_service_ctx *service)
{
	const struct recall_order *order = &ctx->request.order;
	pool_t pool = pool_alloconly_create("recall standing", 1024);
	struct recall_standing_settings set;
	const char *error;
	int ret = 0;

	if (recall_standing_get_settings(ctx->cctx, service, pool, &set) == 0)
		ret = recall_standing_end_all(ctx->cctx, set.dir,
					      order->recall_id, &error);
	if (ret < 0) {
		i_error("recall %s: %s", order->recall_id, error);
		recall_rows_set_exit_code(recall_row_get_rows(ctx->vrows),
					  EX_TEMPFAIL);
	}
	if (ret != 0)
		ctx->known = TRUE;
	pool_unref(&pool);
}

static int
cmd_restore_begin(void *context, struct mail_storage_service_ctx *service,
		  const char *const *users)
{
	struct recall_restore_context *ctx = context;
	const struct recall_request *request = &ctx->request;

	recall_reporter_read_settings(request->reporter, service);
	if (users == NULL && request->order.tenant == NULL &&
	    !request->dry_run)
		restore_end_order(ctx, service);
	return 0;
}

static void
cmd_restore_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_restore_context *ctx = context;
	const struct recall_request *request = &ctx->request;
	const struct recall_order *order = &request->order;
	struct recall_quarantine_restored restored;
	struct recall_row row = {
		.username = username,
		.mailbox_user = user->username,
	};
	struct recall_outcome *outcome = &row.outcome;
	pool_t pool;

	if (!recall_tenant_matches(order->tenant, user)) {
		outcome->verdict = RECALL_VERDICT_FORBIDDEN;
		recall_event_refused(user, order);
		restore_print(ctx, &row);
		return;
	}
	pool = pool_alloconly_create("recall restore", 1024);
	if (restore_user(user, request, pool, &restored, &outcome->error) < 0)
		outcome->verdict = RECALL_VERDICT_ERROR;
	else if (restored.found)
		outcome->verdict = request->dry_run ?
			RECALL_VERDICT_WOULD_RESTORE : RECALL_VERDICT_RESTORED;
	else
		outcome->verdict = RECALL_VERDICT_NOT_FOUND;
	outcome->copies = restored.copies;
	outcome->present = restored.present;
	outcome->mailboxes = restored.mailboxes;
	outcome->mailbox_guids = restored.guids;
	if (outcome->verdict != RECALL_VERDICT_NOT_FOUND && !request->dry_run)
		recall_event_restored(user, order, outcome);
	restore_print(ctx, &row);
	pool_unref(&pool);
}

static void
cmd_restore_repeat(void *context, const char *username,
		   const char *mailbox_user)
{
	struct recall_restore_context *ctx = context;

	recall_row_repeat(ctx->vrows, username, mailbox_user);
}

static void
cmd_restore_unseen(void *context, const char *username,
		   enum recall_verdict verdict, const char *error)
{
	struct recall_restore_context *ctx = context;
	const struct recall_row row = {
		.username = username,
		.outcome = { .verdict = verdict, .error = error },
	};

	restore_print(ctx, &row);
}

static void cmd_restore_proxied(void *context, const char *username)
{
	struct recall_restore_context *ctx = context;

	ctx->known = TRUE;
	recall_row_add_proxied(ctx->vrows, username);
}

/* Another process has left the row out (--hits). */
static void cmd_restore_passed(void *context, const char *username)
{
	struct recall_restore_context *ctx = context;

	ctx->users++;
	recall_row_add_proxied(ctx->vrows, username);
}

static bool cmd_restore_may_spread(void *context)
{
	const struct recall_restore_context *ctx = context;

	return ctx->request.reporter == NULL;
}

static bool cmd_restore_may_batch(void *context ATTR_UNUSED)
{
	return TRUE;
}

static void cmd_restore_row(void *context, const char *username,
			    const char *const *columns)
{
	struct recall_restore_context *ctx = context;
	struct recall_row row;

	recall_row_read(ctx->vrows, username, columns, &row);
	restore_print(ctx, &row);
}

static bool
cmd_restore_is_better(void *context, const char *const *columns,
		      const char *const *other)
{
	struct recall_restore_context *ctx = context;

	return recall_row_is_better(ctx->vrows, columns, other);
}

static bool
cmd_restore_proxy_param(void *context ATTR_UNUSED, const char *name,
			unsigned int user_count ATTR_UNUSED)
{
	/* who asked for the report gets one, of all users */
	return strcmp(name, RECALL_PARAM_REPORT_TO) != 0;
}

static const struct recall_users_callbacks restore_callbacks = {
	.begin = cmd_restore_begin,
	.run = cmd_restore_run,
	.repeat = cmd_restore_repeat,
	.unseen = cmd_restore_unseen,
	.proxy_param = cmd_restore_proxy_param,
	.proxied = cmd_restore_proxied,
	.one_row = TRUE,
	.may_spread = cmd_restore_may_spread,
	.may_batch = cmd_restore_may_batch,
	.row = cmd_restore_row,
	.passed = cmd_restore_passed,
	.is_better = cmd_restore_is_better,
};

/* One user's row says it. Of many who all have nothing the id may be wrong. */
static void restore_tell_unknown(const struct recall_restore_context *ctx)
{
	if (!ctx->known && ctx->users > 1 &&
	    ctx->cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI) {
		i_info("None of these users has anything of recall %s: "
		       "is that its id?", ctx->request.order.recall_id);
	}
}

static void cmd_recall_restore(struct doveadm_cmd_context *cctx)
{
	struct recall_restore_context ctx = { .cctx = cctx };
	struct recall_request *request = &ctx.request;

	if (recall_request_parse_id(cctx, request) < 0 ||
	    recall_cmd_param_flag(cctx, RECALL_PARAM_DRY_RUN,
				  RECALL_PARAM_DRY_RUN_HTTP,
				  &request->dry_run) < 0)
		return;
	if (!request->order.may_be_retry) {
		recall_cmd_error(cctx, EX_USAGE, "The recall id is missing");
		return;
	}
	request->reporter = recall_reporter_init(cctx, request);
	ctx.vrows = recall_row_init(cctx, request->order.recall_id,
				    request->reporter);
	if (recall_users_run(cctx, recall_row_get_rows(ctx.vrows),
			     &restore_callbacks, &ctx) == 0) {
		recall_row_finish(ctx.vrows);
		restore_tell_unknown(&ctx);
		recall_reporter_send(request->reporter);
	}
	recall_row_deinit(&ctx.vrows);
	recall_reporter_deinit(&request->reporter);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_restore = {
	.name = RECALL_CMD_RESTORE,
	.cmd = cmd_recall_restore,
	.usage = RECALL_CMD_USERS_USAGE" [--dry-run] [--tenant <tenant>] "
		"[--hits] "RECALL_CMD_SWEEP_USAGE" [--reason <text>] "
		"[--actor <name>] [--report-to <address>] "
		"<recall-id>",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_REPORT_TO, CMD_PARAM_STR, 0)
RECALL_CMD_HITS_PARAM
RECALL_CMD_SWEEP_PARAMS
RECALL_CMD_FLAG_PARAM('n', RECALL_PARAM_DRY_RUN, RECALL_PARAM_DRY_RUN_HTTP)
RECALL_CMD_RECORD_PARAMS
DOVEADM_CMD_PARAMS_END
};
