#include "lib.h"
#include "array.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-standing.h"
#include "recall-standing.h"
#include "recall-standing-late.h"

#include <time.h>

static const struct recall_column list_columns[] = {
	{ .name = RECALL_COLUMN_RECALL_ID },
	{ .name = RECALL_COLUMN_MESSAGE_ID, .max_chars = 40 },
	{ .name = RECALL_COLUMN_QUERY, .max_chars = 40 },
	{ .name = RECALL_COLUMN_CREATED, .flags = RECALL_COLUMN_FLAG_DAY },
	{ .name = RECALL_COLUMN_EXPIRES },
	{ .name = RECALL_COLUMN_LATE,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY },
	{ .name = RECALL_COLUMN_USERS, .max_chars = 40 },
	{ .name = RECALL_COLUMN_SENDERS, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_TENANT, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_FORCE, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_ACTOR },
	{ .name = RECALL_COLUMN_REASON, .max_chars = 40 },
};

static const struct recall_column late_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_RECALL_ID },
	{ .name = RECALL_COLUMN_DATE },
	{ .name = RECALL_COLUMN_COPIES,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY },
	{ .name = RECALL_COLUMN_MAILBOXES },
	{ .name = RECALL_COLUMN_LINE, .flags = RECALL_COLUMN_FLAG_WIDE },
};

struct standing_command {
	pool_t pool;
	struct recall_rows *rows;
	struct recall_standing_settings set;
	/* NULL for all of them */
	const char *recall_id;
};

static int standing_command_init(const struct doveadm_cmd_context *cctx,
				 struct standing_command *cmd_r)
{
	struct recall_request request;

	i_zero(cmd_r);
	if (recall_request_parse_id(cctx, &request) < 0)
		return -1;
	if (request.order.may_be_retry)
		cmd_r->recall_id = request.order.recall_id;
	cmd_r->pool = pool_alloconly_create("recall standing", 4096);
	if (recall_standing_get_settings(cctx, NULL, cmd_r->pool,
					 &cmd_r->set) < 0) {
		pool_unref(&cmd_r->pool);
		return -1;
	}
	return 0;
}

/* Names with commas between them, as in RECALL_COLUMN_MAILBOXES; addresses need
   no escaping, but nobody checks masks. */
static const char *join(const char *const *names)
{
	return names == NULL ? NULL : t_strarray_join(names, ",");
}

static unsigned int
count_late(const ARRAY_TYPE(recall_standing_late) *lates, const char *recall_id)
{
	const struct recall_standing_late *late;
	unsigned int copies = 0;

	array_foreach(lates, late) {
		if (strcmp(late->recall_id, recall_id) == 0)
			copies += late->copies;
	}
	return copies;
}

static void
standing_print(struct recall_rows *rows,
	       const struct recall_standing_order *order, unsigned int late)
{
	recall_rows_add(rows, order->recall_id);
	recall_rows_add(rows, order->message_id);
	recall_rows_add(rows, order->query == NULL ? NULL :
			t_strarray_join(order->query, " "));
	recall_rows_add(rows, recall_listing_time(order->created));
	recall_rows_add(rows, recall_listing_time(order->expires));
	recall_rows_add(rows, dec2str(late));
	recall_rows_add(rows, order->users == NULL ? "*" : join(order->users));
	recall_rows_add(rows, join(order->senders));
	recall_rows_add(rows, order->tenant);
	recall_rows_add(rows, order->force ? "yes" : "no");
	recall_rows_add(rows, order->actor);
	recall_rows_add(rows, order->reason);
}

static void standing_list(const struct standing_command *cmd)
{
	ARRAY_TYPE(recall_standing_order) orders;
	ARRAY_TYPE(recall_standing_late) lates;
	const struct recall_standing_order *order;
	const char *error, *late_error;
	int ret, late_ret;

	p_array_init(&orders, cmd->pool, 16);
	p_array_init(&lates, cmd->pool, 16);
	ret = recall_standing_list(cmd->set.dir, cmd->pool, &orders, &error);
	late_ret = recall_standing_late_read(cmd->set.dir, cmd->recall_id, 0,
					     cmd->pool, &lates, &late_error);
	array_foreach(&orders, order) T_BEGIN {
		if (order->expires > time(NULL) &&
		    (cmd->recall_id == NULL ||
		     strcmp(cmd->recall_id, order->recall_id) == 0)) {
			standing_print(cmd->rows, order,
				count_late(&lates, order->recall_id));
		}
	} T_END;
	if (ret < 0 || late_ret < 0) {
		recall_rows_error(cmd->rows, EX_TEMPFAIL, "%s",
				  ret < 0 ? error : late_error);
	}
}

/* Over HTTP a command that fails has no rows: an order that can't be read must
   not hide the others. */
static void standing_finish(const struct doveadm_cmd_context *cctx,
			    struct standing_command *cmd)
{
	recall_rows_finish(cmd->rows);
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_HTTP &&
	    doveadm_exit_code == EX_TEMPFAIL)
		doveadm_exit_code = 0;
	recall_rows_deinit(&cmd->rows);
	pool_unref(&cmd->pool);
}

static void cmd_recall_standing_list(struct doveadm_cmd_context *cctx)
{
	struct standing_command cmd;

	if (standing_command_init(cctx, &cmd) < 0)
		return;
	cmd.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
				    list_columns, N_ELEMENTS(list_columns));
	standing_list(&cmd);
	standing_finish(cctx, &cmd);
}

static void
late_print(struct recall_rows *rows, const struct recall_standing_late *late)
{
	recall_rows_add(rows, late->username);
	recall_rows_add(rows, late->recall_id);
	recall_rows_add(rows, recall_listing_time(late->time));
	recall_rows_add(rows, dec2str(late->copies));
	recall_rows_add(rows, late->mailboxes);
	recall_rows_add(rows, late->line);
}

static void cmd_recall_standing_late(struct doveadm_cmd_context *cctx)
{
	ARRAY_TYPE(recall_standing_late) lates;
	const struct recall_standing_late *late;
	struct standing_command cmd;
	const char *error;
	time_t since = 0;

	if (recall_cmd_params_check(cctx) < 0 ||
	    recall_cmd_param_since(cctx, &since) < 0 ||
	    standing_command_init(cctx, &cmd) < 0)
		return;
	cmd.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
				    late_columns, N_ELEMENTS(late_columns));
	p_array_init(&lates, cmd.pool, 16);
	if (recall_standing_late_read(cmd.set.dir, cmd.recall_id, since,
				      cmd.pool, &lates, &error) < 0)
		recall_rows_error(cmd.rows, EX_TEMPFAIL, "%s", error);
	array_foreach(&lates, late) T_BEGIN {
		late_print(cmd.rows, late);
	} T_END;
	standing_finish(cctx, &cmd);
}

static void cmd_recall_standing_end(struct doveadm_cmd_context *cctx)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_RECALL_ID },
		{ .name = RECALL_COLUMN_STATUS },
	};
	struct standing_command cmd;
	const char *error;
	int ret;

	if (standing_command_init(cctx, &cmd) < 0)
		return;
	if (cmd.recall_id == NULL) {
		recall_cmd_error(cctx, EX_USAGE, "The recall id is missing");
		pool_unref(&cmd.pool);
		return;
	}
	cmd.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				    N_ELEMENTS(columns));
	ret = recall_standing_end_all(cctx, cmd.set.dir, cmd.recall_id, &error);
	if (ret < 0) {
		recall_rows_error(cmd.rows, EX_TEMPFAIL, "%s", error);
	} else {
		recall_rows_add(cmd.rows, cmd.recall_id);
		recall_rows_add(cmd.rows, ret > 0 ? "ended" : "not_found");
	}
	recall_rows_finish(cmd.rows);
	recall_rows_deinit(&cmd.rows);
	pool_unref(&cmd.pool);
}

static const struct doveadm_cmd_param standing_params[] = {
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RECALL_ID, CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
{ .name = NULL }
};

struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_list = {
	.name = RECALL_CMD_STANDING_LIST,
	.cmd = cmd_recall_standing_list,
	.usage = "[<recall-id>]",
	.parameters = standing_params
};

struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_late = {
	.name = RECALL_CMD_STANDING_LATE,
	.cmd = cmd_recall_standing_late,
	.usage = "[--since <date>] [<recall-id>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_SINCE, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RECALL_ID, CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_end = {
	.name = RECALL_CMD_STANDING_END,
	.cmd = cmd_recall_standing_end,
	.usage = "<recall-id>",
	.parameters = standing_params
};
