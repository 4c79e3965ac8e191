#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-mail.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "recall-copies.h"
#include "recall-execute.h"
#include "recall-expunge.h"
#include "recall-count.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-rows.h"
#include "recall-query.h"
#include "recall-settings.h"
#include "recall-standing.h"
#include "recall-standing-nodes.h"
#include "recall-stop.h"
#include "doveadm-recall-report.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-row-read.h"
#include "doveadm-recall-standing.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-plugin.h"

#include <time.h>

struct recall_expunge_context {
	const struct doveadm_cmd_context *cctx;
	struct recall_request request;
	struct recall_verdict_rows *vrows;
	/* how many may be deleted, NULL if nobody said */
	struct recall_count *count;
	/* whoever asks has counted, user by user */
	bool expected;
	/* the pass that only counts is under way */
	bool counting;
	/* copies that a dry run found */
	unsigned int dry_run_total;
	/* users whom this node, or another, answered for */
	unsigned int own_users, proxied_users;
	/* another node failed to answer for somebody */
	bool lost_users;
	/* whose messages are not in the count, or not all of them */
	unsigned int uncounted_users;
	/* there may be something to restore, or to try once more */
	bool done;

	pool_t pool;
	struct recall_standing_settings standing_set;
	/* the recall stands until then, 0 if it does not */
	time_t expires;
	/* for them: as asked for, NULL for everyone */
	const char *const *users;
	/* it did stand; it may have been ended since */
	bool stood;
	/* and for those who were asked for by other names */
	ARRAY_TYPE(const_string) alias_users;
	/* the order is for these now, who have been looked at before; or
	   NULL */
	const char *const *joined;
};

static void expunge_count(struct recall_expunge_context *ctx,
			  struct mail_user *user, const char *username)
{
	struct recall_copies copies;

	if (recall_search(user, &ctx->request.order, &copies) ==
	    RECALL_VERDICT_WOULD_EXPUNGE)
		recall_count_add(ctx->count, username, copies.count);
	/* with --force it is, as far as it can be looked at */
	if (copies.error != NULL)
		ctx->uncounted_users++;
	recall_copies_free(&copies);
}

static void
expunge_account(struct recall_expunge_context *ctx,
		const struct recall_row *row)
{
	switch (row->outcome.verdict) {
	case RECALL_VERDICT_WOULD_EXPUNGE:
		ctx->dry_run_total += row->outcome.copies;
		break;
	case RECALL_VERDICT_EXPUNGED:
	case RECALL_VERDICT_ERROR:
		ctx->done = TRUE;
		break;
	default:
		break;
	}
}

/* Returns 0 if it does not stand for them. */
static int
expunge_stand(struct recall_expunge_context *ctx, const char *const *users)
{
	const char *error;
	int ret;

	/* nobody, if no name was one */
	if (ctx->expires == 0 || (users != NULL && *users == NULL))
		return 0;
	ret = recall_standing_begin(&ctx->standing_set, &ctx->request, users,
				    ctx->expires, ctx->stood, &error);
	if (ret > 0)
		ctx->stood = TRUE;
	if (ret >= 0)
		return ret;
	/* a code of its own: over HTTP it's all that gets through */
	recall_rows_error(recall_row_get_rows(ctx->vrows), EX_CANTCREAT,
			  "%s%s", error, users == ctx->users ?
			  ": nothing was done" : "");
	return -1;
}

static void
expunge_add_alias(struct recall_expunge_context *ctx, const char *username,
		  const char *mailbox_user)
{
	const char *name;

	if (strcmp(username, mailbox_user) == 0)
		return;
	name = p_strdup(ctx->pool, mailbox_user);
	array_push_back(&ctx->alias_users, &name);
}

/* Mailboxes are what an order is for. */
static void expunge_stand_for_aliases(struct recall_expunge_context *ctx)
{
	const char *const *users;

	if (ctx->users == NULL || ctx->expires == 0 ||
	    array_is_empty(&ctx->alias_users))
		return;
	array_append_zero(&ctx->alias_users);
	users = array_front(&ctx->alias_users);
	if (expunge_stand(ctx, users) > 0)
		ctx->joined = users;
}

static int
cmd_expunge_begin(void *context, struct mail_storage_service_ctx *service,
		  const char *const *users)
{
	struct recall_expunge_context *ctx = context;
	bool stand_all = FALSE;

	recall_reporter_read_settings(ctx->request.reporter, service);
	if (recall_standing_get_settings(ctx->cctx, service, ctx->pool,
					 &ctx->standing_set) < 0 ||
	    recall_standing_get_expires(ctx->cctx, &ctx->standing_set,
					&ctx->request, &ctx->expires) < 0)
		return -1;
	(void)doveadm_cmd_param_bool(ctx->cctx, RECALL_PARAM_STAND_ALL,
				     &stand_all);
	if (stand_all && ctx->expires == 0 && !ctx->request.dry_run) {
		recall_cmd_error(ctx->cctx, EX_USAGE, "--"RECALL_PARAM_STAND_ALL
				 " goes with --"RECALL_PARAM_STAND);
		return -1;
	}
	/* then it's whoever shares them out that has the recall stand */
	if (recall_users_are_shared_out(ctx->cctx))
		ctx->expires = 0;
	ctx->users = stand_all ? NULL : users;
	/* before the first user is looked at: what comes while the recall goes
	   on must not fall between the two */
	return ctx->counting || expunge_stand(ctx, ctx->users) >= 0 ? 0 : -1;
}

static void
cmd_expunge_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_expunge_context *ctx = context;
	struct recall_order order = ctx->request.order;
	struct recall_row row = {
		.username = username,
		.mailbox_user = user->username,
	};
	struct recall_copies copies;
	unsigned int max_copies;
	const char *stopped;

	ctx->own_users++;
	if (ctx->counting) {
		expunge_count(ctx, user, username);
		return;
	}
	expunge_add_alias(ctx, username, user->username);
	if (ctx->count != NULL) {
		max_copies = recall_count_get(ctx->count, username);
		order.max_copies = &max_copies;
		order.max_of_all_tries = ctx->expected;
	}
	stopped = ctx->request.dry_run ? NULL :
		recall_stop_check(recall_settings(user)->recall_standing_dir);
	if (stopped != NULL) {
		row.outcome.verdict = RECALL_VERDICT_ERROR;
		row.outcome.error = stopped;
		recall_row_print(ctx->vrows, &row);
		return;
	}
	if (ctx->request.dry_run)
		recall_probe(user, &order, &copies, &row.outcome);
	else
		recall_execute(user, &order, &copies, &row.outcome);
	expunge_account(ctx, &row);
	if (row.outcome.verdict != RECALL_VERDICT_FORBIDDEN)
		row.searched = recall_request_get_searched(&ctx->request);
	recall_reporter_set_message(ctx->request.reporter, NULL,
				    copies.subject, copies.from, copies.date);
	recall_row_print(ctx->vrows, &row);
	recall_copies_free(&copies);
}

static void
cmd_expunge_repeat(void *context, const char *username,
		   const char *mailbox_user)
{
	struct recall_expunge_context *ctx = context;

	ctx->own_users++;
	if (!ctx->counting)
		recall_row_repeat(ctx->vrows, username, mailbox_user);
}

static void
cmd_expunge_unseen(void *context, const char *username,
		   enum recall_verdict verdict, const char *error)
{
	struct recall_expunge_context *ctx = context;

	ctx->own_users++;
	if (!ctx->counting)
		recall_row_print_unseen(ctx->vrows, username, verdict, error);
	else if (verdict == RECALL_VERDICT_ERROR)
		ctx->uncounted_users++;
}

/* What the other node did is not known, not even if it was only to count. */
static void
cmd_expunge_lost(void *context, const char *username, const char *error)
{
	struct recall_expunge_context *ctx = context;

	ctx->lost_users = TRUE;
	recall_row_print_unseen(ctx->vrows, username, RECALL_VERDICT_ERROR,
				error);
}

static bool cmd_expunge_proxy_param(void *context ATTR_UNUSED,
				    const char *name, unsigned int user_count)
{
	/* who asked for the report gets one, of all users */
	if (strcmp(name, RECALL_PARAM_REPORT_TO) == 0)
		return FALSE;
	/* what several users have together is nobody's count */
	if (strcmp(name, RECALL_PARAM_YES_COUNT) == 0)
		return user_count == 1;
	/* see below */
	return strcmp(name, RECALL_PARAM_EXPECTED) != 0 &&
		strcmp(name, RECALL_PARAM_STAND) != 0 &&
		strcmp(name, RECALL_PARAM_STAND_ALL) != 0;
}

/* Where it does not stand here any more no node is to begin it anew; one for
   everyone is so wherever they are by then. */
static void
expunge_add_stand(const struct recall_expunge_context *ctx,
		  ARRAY_TYPE(const_string) *args)
{
	const time_t now = time(NULL);
	const char *arg, *value;

	if (ctx->expires == 0) {
		if (!doveadm_cmd_param_str(ctx->cctx, RECALL_PARAM_STAND,
					   &value))
			return;
	} else if (ctx->expires <= now ||
		   (ctx->stood &&
		    recall_standing_has_ended(ctx->standing_set.dir,
					ctx->request.order.recall_id))) {
		value = RECALL_STAND_DEFAULT;
	} else {
		value = t_strdup_printf("%lld secs",
					(long long)(ctx->expires - now));
		arg = "--"RECALL_PARAM_STAND_ALL;
		if (ctx->users == NULL)
			array_push_back(args, &arg);
	}
	arg = t_strconcat("--"RECALL_PARAM_STAND"=", value, NULL);
	array_push_back(args, &arg);
}

/* The node is going to have the order. It has to hear of its end. */
static int
cmd_expunge_node(void *context, const char *node, const char **error_r)
{
	struct recall_expunge_context *ctx = context;

	return ctx->expires == 0 ? 0 :
		recall_standing_nodes_add(ctx->standing_set.dir,
			ctx->request.order.recall_id, node, ctx->expires,
			ctx->stood, error_r);
}

static void
cmd_expunge_proxy_args(void *context, const char *const *users,
		       ARRAY_TYPE(const_string) *args)
{
	struct recall_expunge_context *ctx = context;
	const char *arg;

	/* all nodes work on one recall */
	if (!ctx->request.order.may_be_retry) {
		arg = t_strconcat("--"RECALL_PARAM_RECALL_ID"=",
				  ctx->request.order.recall_id, NULL);
		array_push_back(args, &arg);
	}
	expunge_add_stand(ctx, args);
	for (; ctx->expected && *users != NULL; users++) {
		arg = t_strdup_printf("--"RECALL_PARAM_EXPECTED"=%u",
			recall_count_get(ctx->count, *users));
		array_push_back(args, &arg);
	}
}

static void
cmd_expunge_proxied(void *context, const char *username)
{
	struct recall_expunge_context *ctx = context;

	ctx->proxied_users++;
	recall_row_add_proxied(ctx->vrows, username);
}

/* Who counts has to know all, and so has who writes a report. */
static bool cmd_expunge_may_spread(void *context)
{
	const struct recall_expunge_context *ctx = context;

	return ctx->count == NULL && ctx->request.reporter == NULL;
}

/* Each node counts its own users' messages, or is told how many there are of
   each. */
static bool cmd_expunge_may_batch(void *context)
{
	const struct recall_expunge_context *ctx = context;

	return ctx->count == NULL || ctx->expected;
}

/* Another process has recalled it. */
static void cmd_expunge_row(void *context, const char *username,
			    const char *const *columns)
{
	struct recall_expunge_context *ctx = context;
	struct recall_row row;

	recall_row_read(ctx->vrows, username, columns, &row);
	ctx->own_users++;
	if (row.mailbox_user != NULL)
		expunge_add_alias(ctx, username, row.mailbox_user);
	expunge_account(ctx, &row);
	recall_row_print(ctx->vrows, &row);
}

static void
cmd_expunge_passed(void *context, const char *username)
{
	struct recall_expunge_context *ctx = context;

	ctx->own_users++;
	recall_row_add_proxied(ctx->vrows, username);
}

static bool
cmd_expunge_is_better(void *context, const char *const *columns,
		      const char *const *other)
{
	struct recall_expunge_context *ctx = context;

	return recall_row_is_better(ctx->vrows, columns, other);
}

/* All users have been counted: may the recall go on? */
static bool cmd_expunge_again(void *context)
{
	struct recall_expunge_context *ctx = context;
	const char *error = "An order by a query is for users who have been "
		"counted: nothing was done (--"RECALL_PARAM_STAND"="
		RECALL_STAND_DEFAULT" goes without one)";

	if (!ctx->counting) {
		expunge_stand_for_aliases(ctx);
		return FALSE;
	}
	ctx->counting = FALSE;
	if (ctx->lost_users) {
		/* a single user's row has all */
		if (ctx->own_users == 0 && ctx->proxied_users == 0)
			return FALSE;
		error = "A node failed: nothing was done here";
	} else if (ctx->proxied_users > 0) {
		/* a single user's node has counted and done it itself */
		if (ctx->own_users == 0 && ctx->proxied_users == 1)
			return FALSE;
		error = "Other nodes' users can't be counted together: "
			"nothing was done. Ask each node, or each user";
	} else if (recall_count_is_expected(ctx->count, &error) &&
		   /* an order takes all that it finds, once something
		      arrives */
		   (ctx->expires == 0 || ctx->uncounted_users == 0)) {
		return expunge_stand(ctx, ctx->users) >= 0;
	} else if (ctx->uncounted_users > 0) {
		/* what is missing from the number may be theirs */
		error = t_strdup_printf("%s. Users who could not be counted: "
			"%u; a dry run says why", error, ctx->uncounted_users);
	}
	recall_rows_error(recall_row_get_rows(ctx->vrows), EX_USAGE, "%s",
			  error);
	/* nothing was done, so there is nothing to report */
	recall_reporter_deinit(&ctx->request.reporter);
	return FALSE;
}

static const struct recall_users_callbacks expunge_callbacks = {
	.begin = cmd_expunge_begin,
	.run = cmd_expunge_run,
	.repeat = cmd_expunge_repeat,
	.unseen = cmd_expunge_unseen,
	.proxy_param = cmd_expunge_proxy_param,
	.proxy_args = cmd_expunge_proxy_args,
	.node = cmd_expunge_node,
	.proxied = cmd_expunge_proxied,
	.lost = cmd_expunge_lost,
	.one_row = TRUE,
	.may_spread = cmd_expunge_may_spread,
	.may_batch = cmd_expunge_may_batch,
	.row = cmd_expunge_row,
	.passed = cmd_expunge_passed,
	.is_better = cmd_expunge_is_better,
	.again = cmd_expunge_again,
};

/* Returns 1 if the caller says how many messages each user may lose, 0 if not,
   -1 if that can't be accepted. */
static int
expunge_get_expected(const struct doveadm_cmd_context *cctx,
		     struct recall_expunge_context *ctx)
{
	const char *const *users = recall_users_get_names(cctx);
	const unsigned int *numbers;
	unsigned int i, count = users == NULL ? 0 : str_array_length(users);
	int ret;

	if (users == NULL &&
	    doveadm_cmd_param_array(cctx, RECALL_PARAM_EXPECTED, &users)) {
		recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_EXPECTED
			" goes with users who are named by -u or --users");
		return -1;
	}
	ret = recall_cmd_param_numbers(cctx, RECALL_PARAM_EXPECTED, count,
				       &numbers);
	if (ret <= 0)
		return ret;
	if (!ctx->request.dry_run) {
		ctx->expected = TRUE;
		ctx->count = recall_count_init(0);
		for (i = 0; i < count; i++)
			recall_count_add(ctx->count, users[i], numbers[i]);
	}
	return 1;
}

/* A slip in a query must not empty mailboxes. */
static int
expunge_check_query(const struct doveadm_cmd_context *cctx,
		    struct recall_expunge_context *ctx)
{
	const struct recall_request *request = &ctx->request;
	unsigned int number;
	const char *error;
	int yes_count, expected;

	yes_count = recall_cmd_param_number(cctx, RECALL_PARAM_YES_COUNT,
					    &number);
	if (yes_count < 0)
		return -1;
	expected = expunge_get_expected(cctx, ctx);
	if (expected < 0)
		return -1;
	if (yes_count > 0 && expected == 0 && !request->dry_run) {
		ctx->count = recall_count_init(number);
		ctx->counting = TRUE;
	}
	if (yes_count > 0 && expected > 0) {
		error = "There is both --"RECALL_PARAM_YES_COUNT" and --"
			RECALL_PARAM_EXPECTED;
	} else if (request->order.criteria.search_args == NULL) {
		if (yes_count == 0 && expected == 0)
			return 0;
		error = expected > 0 ?
			"--"RECALL_PARAM_EXPECTED" goes with a search query" :
			"--"RECALL_PARAM_YES_COUNT" goes with a search query";
	} else if (!recall_query_is_selective(
			request->order.criteria.search_args)) {
		error = "The search query matches everything";
	} else if (yes_count == 0 && expected == 0 && !request->dry_run) {
		error = "A search query needs --"RECALL_PARAM_YES_COUNT
			" with the number that --"RECALL_PARAM_DRY_RUN
			" counts";
	} else {
		return 0;
	}
	recall_cmd_error(cctx, EX_USAGE, "%s", error);
	return -1;
}

static void
expunge_finish(const struct doveadm_cmd_context *cctx,
	       const struct recall_expunge_context *ctx)
{
	const struct recall_rows *rows = recall_row_get_rows(ctx->vrows);

	if (ctx->counting) {
		recall_rows_error(rows, EX_TEMPFAIL,
			"Stopped while counting: nothing was done");
		return;
	}
	recall_row_finish(ctx->vrows);
	recall_reporter_send(ctx->request.reporter);
	if (ctx->request.dry_run && ctx->proxied_users == 0 &&
	    cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI) {
		i_info("%u messages would be deleted", ctx->dry_run_total);
	} else if (recall_rows_is_short(rows) &&
		   (ctx->done || ctx->proxied_users > 0 || ctx->expires != 0)) {
		i_info("Recall id: %s", ctx->request.order.recall_id);
	}
	if (recall_rows_is_short(rows) && ctx->expires != 0) {
		i_info("The recall stands until %s",
		       recall_listing_time(ctx->expires));
	}
}

static void cmd_recall_expunge(struct doveadm_cmd_context *cctx)
{
	struct recall_expunge_context ctx;

	i_zero(&ctx);
	ctx.cctx = cctx;
	if (recall_request_parse(cctx, &ctx.request) < 0)
		return;
	ctx.pool = pool_alloconly_create("recall expunge", 1024);
	p_array_init(&ctx.alias_users, ctx.pool, 1);
	if (expunge_check_query(cctx, &ctx) == 0) {
		ctx.request.reporter =
			recall_reporter_init(cctx, &ctx.request);
		ctx.request.order.report = ctx.request.reporter != NULL;
		ctx.vrows = recall_row_init(cctx, ctx.request.order.recall_id,
					    ctx.request.reporter);
		if (recall_users_run(cctx, recall_row_get_rows(ctx.vrows),
				     &expunge_callbacks, &ctx) == 0) {
			if (ctx.joined != NULL) {
				recall_standing_look(cctx,
					recall_row_get_rows(ctx.vrows),
					&ctx.standing_set,
					ctx.request.order.recall_id,
					ctx.joined);
			}
			expunge_finish(cctx, &ctx);
		}
		recall_row_deinit(&ctx.vrows);
	}
	recall_reporter_deinit(&ctx.request.reporter);
	recall_count_deinit(&ctx.count);
	recall_request_deinit(&ctx.request);
	pool_unref(&ctx.pool);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_expunge = {
	.name = RECALL_CMD_EXPUNGE,
	.cmd = cmd_recall_expunge,
	.usage = RECALL_CMD_USERS_USAGE" [--force] [--no-notify] [--dry-run] "
		"[--verify-headers] "
		"[--sender <address> ...] [--tenant <tenant>] "
		"[--reason <text>] [--actor <name>] [--approver <name>] "
		"[--recall-id <id>] [--report-to <address>] "
		"[--stand <time> [--stand-all]] "
		"[--yes-count <n>|--expected <n> ...] [--hits] "
		RECALL_CMD_SWEEP_USAGE" "RECALL_CMD_CRITERIA_USAGE,
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_REQUEST_PARAMS
DOVEADM_CMD_PARAM('f', RECALL_PARAM_FORCE, CMD_PARAM_BOOL, 0)
RECALL_CMD_FLAG_PARAM('N', RECALL_PARAM_NO_NOTIFY, RECALL_PARAM_NO_NOTIFY_HTTP)
RECALL_CMD_FLAG_PARAM('n', RECALL_PARAM_DRY_RUN, RECALL_PARAM_DRY_RUN_HTTP)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_YES_COUNT, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_EXPECTED, CMD_PARAM_ARRAY, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_APPROVER, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_REPORT_TO, CMD_PARAM_STR, 0)
RECALL_CMD_STAND_PARAM
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_STAND_ALL, CMD_PARAM_BOOL, 0)
RECALL_CMD_HITS_PARAM
RECALL_CMD_SWEEP_PARAMS
RECALL_CMD_CRITERIA_PARAMS
DOVEADM_CMD_PARAMS_END
};
