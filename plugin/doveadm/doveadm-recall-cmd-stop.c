#include "lib.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "failpoint.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-standing.h"
#include "recall-events.h"
#include "recall-params.h"
#include "recall-stop.h"

#include <time.h>

static const char *
stop_run(const struct doveadm_cmd_context *cctx, const char *dir,
	 const struct recall_order *order, bool release,
	 const char *stopped_by)
{
	const struct recall_stop stop = {
		.actor = order->actor,
		.reason = order->reason,
		.since = time(NULL),
	};
	struct recall_stop other;
	const char *error;
	int ret;

	ret = release ? recall_stop_release(dir, stopped_by, order->reason,
					    &error) :
		recall_stop_set(dir, &stop, &error);
	if (ret < 0) {
		recall_cmd_error(cctx, EX_TEMPFAIL, "%s", error);
		return NULL;
	}
	if (ret == 0 && !release)
		return "already_stopped";
	/* whoever releases one stop is told that there is another one */
	if (ret == 0 && stopped_by != NULL &&
	    recall_stop_read(dir, &other, &error) != 0)
		return RECALL_STOP_STAYS;
	if (ret == 0)
		return "not_stopped";
	recall_event_stop(order, release);
	return release ? "released" : "stopped";
}

static void cmd_recall_stop(struct doveadm_cmd_context *cctx)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_STATUS },
	};
	struct recall_standing_settings set;
	struct recall_request request;
	struct recall_rows *rows;
	const char *status, *stopped_by = NULL;
	bool release = FALSE;
	pool_t pool;

	if (recall_request_parse_id(cctx, &request) < 0)
		return;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_RELEASE, &release);
	if (doveadm_cmd_param_str(cctx, RECALL_PARAM_STOPPED_BY,
				  &stopped_by) && !release) {
		recall_cmd_error(cctx, EX_USAGE, "--stopped-by needs "
				 "--release");
		return;
	}
	RECALL_FAILPOINT("stop");
	pool = pool_alloconly_create("recall stop", 1024);
	if (recall_standing_get_settings(cctx, NULL, pool, &set) == 0) {
		status = stop_run(cctx, set.dir, &request.order, release,
				  stopped_by);
		if (status != NULL) {
			rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
						columns, N_ELEMENTS(columns));
			recall_rows_add(rows, status);
			recall_rows_finish(rows);
			recall_rows_deinit(&rows);
		}
	}
	pool_unref(&pool);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_stop = {
	.name = RECALL_CMD_STOP,
	.cmd = cmd_recall_stop,
	.usage = "[--release [--stopped-by <name>]] [--reason <text>] "
		"[--actor <name>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RELEASE, CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_STOPPED_BY, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('r', RECALL_PARAM_REASON, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_ACTOR, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
