#include "lib.h"
#include "array.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-standing.h"
#include "doveadm-recall-users.h"

/* The order of a recall that others carry out: this node is asked about none of
   its users, or could not be asked when they were. */

static const struct recall_column begin_columns[] = {
	{ .name = RECALL_COLUMN_RECALL_ID },
	{ .name = RECALL_COLUMN_EXPIRES },
};

/* Those that are names; what is none is nobody's. */
static const char *const *begin_names(const char *const *users)
{
	ARRAY_TYPE(const_string) names;

	t_array_init(&names, 16);
	for (; *users != NULL; users++) {
		if (recall_username_get_error(*users) == NULL)
			array_push_back(&names, users);
	}
	array_append_zero(&names);
	return array_front(&names);
}

/* *users_r is NULL for everyone. */
static int begin_get_users(const struct doveadm_cmd_context *cctx,
			   const char *const **users_r)
{
	const char *const *users;
	bool all = FALSE, named;

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, &all);
	named = doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS, &users);
	if (named == all) {
		recall_cmd_error(cctx, EX_USAGE, "Say for which users in "
				 "exactly one way: --users or -A");
		return -1;
	}
	*users_r = all ? NULL : begin_names(users);
	if (!all && **users_r == NULL) {
		recall_cmd_error(cctx, EX_USAGE, "No name is a user's");
		return -1;
	}
	return 0;
}

static int standing_begin(const struct doveadm_cmd_context *cctx,
			  const struct recall_request *request, pool_t pool,
			  time_t *expires_r)
{
	struct recall_standing_settings set;
	const char *const *users, *error;

	if (begin_get_users(cctx, &users) < 0 ||
	    recall_standing_get_settings(cctx, NULL, pool, &set) < 0 ||
	    recall_standing_get_expires(cctx, &set, request, expires_r) < 0)
		return -1;
	if (*expires_r == 0) {
		recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_STAND
				 " says how long it is to stand");
		return -1;
	}
	if (recall_standing_begin(&set, request, users, *expires_r, FALSE,
				  &error) < 0) {
		recall_cmd_error(cctx, EX_CANTCREAT, "%s", error);
		return -1;
	}
	return 0;
}

static void cmd_recall_standing_begin(struct doveadm_cmd_context *cctx)
{
	struct recall_request request;
	struct recall_rows *rows;
	time_t expires;
	pool_t pool;

	if (recall_request_parse(cctx, &request) < 0)
		return;
	pool = pool_alloconly_create("recall standing begin", 1024);
	if (standing_begin(cctx, &request, pool, &expires) == 0) {
		rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
					begin_columns,
					N_ELEMENTS(begin_columns));
		recall_rows_add(rows, request.order.recall_id);
		recall_rows_add(rows, recall_listing_time(expires));
		recall_rows_finish(rows);
		recall_rows_deinit(&rows);
	}
	recall_request_deinit(&request);
	pool_unref(&pool);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_begin = {
	.name = RECALL_CMD_STANDING_BEGIN,
	.cmd = cmd_recall_standing_begin,
	.usage = "--users <user> ...|-A --stand <time> [--force] [--no-notify] "
		"[--sender <address> ...] [--tenant <tenant>] "
		"[--reason <text>] [--actor <name>] [--recall-id <id>] "
		RECALL_CMD_CRITERIA_USAGE,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('A', RECALL_PARAM_ALL_USERS, CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_USERS, CMD_PARAM_ARRAY, 0)
RECALL_CMD_REQUEST_PARAMS
DOVEADM_CMD_PARAM('f', RECALL_PARAM_FORCE, CMD_PARAM_BOOL, 0)
RECALL_CMD_FLAG_PARAM('N', RECALL_PARAM_NO_NOTIFY, RECALL_PARAM_NO_NOTIFY_HTTP)
RECALL_CMD_STAND_PARAM
RECALL_CMD_CRITERIA_PARAMS
DOVEADM_CMD_PARAMS_END
};
