#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-quarantine-read.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-verdict.h"
#include "doveadm-recall-record-rows.h"
#include "doveadm-recall-plugin.h"

struct recall_list_command {
	struct recall_record_command cmd;
	time_t since;
};

static bool list_wants(const struct recall_list_command *cmd,
		       const struct recall_quarantine_record *record)
{
	const struct recall_order *order = &cmd->cmd.request.order;
	const char *actor = record->actor, *reason = record->reason;

	return record->recalled >= cmd->since &&
		(*order->actor == '\0' ||
		 (actor != NULL && strcasecmp(actor, order->actor) == 0)) &&
		(*order->reason == '\0' ||
		 (reason != NULL && strstr(t_str_lcase(reason),
				t_str_lcase(order->reason)) != NULL));
}

static void
list_record(struct recall_record_command *_cmd,
	    struct recall_quarantine *q, const char *username,
	    const char *recall_id,
	    const ARRAY_TYPE(recall_quarantine_box) *boxes,
	    const struct recall_quarantine_record *record)
{
	struct recall_list_command *cmd =
		container_of(_cmd, struct recall_list_command, cmd);
	struct recall_record_row row = {
		.username = username,
		.recall_id = recall_id,
		.record = record,
	};

	if (record == NULL ? recall_quarantine_boxes_are_empty(q, boxes) :
	    !list_wants(cmd, record))
		return;
	if (record == NULL) {
		row.status = recall_verdict_name(RECALL_VERDICT_ERROR);
		row.error = "There is no record of the recall";
	} else {
		row.status = recall_verdict_name(record->restored != 0 ?
			RECALL_VERDICT_RESTORED : RECALL_VERDICT_EXPUNGED);
		row.copies = recall_quarantine_record_copies(record);
	}
	recall_record_row_print(&cmd->cmd, &row);
}

static void cmd_recall_list(struct doveadm_cmd_context *cctx)
{
	struct recall_list_command cmd = { .cmd = { .record = list_record } };

	if (recall_cmd_params_check(cctx) < 0 ||
	    recall_cmd_param_since(cctx, &cmd.since) < 0)
		return;
	recall_record_command_run(cctx, &cmd.cmd);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_list = {
	.name = RECALL_CMD_LIST,
	.cmd = cmd_recall_list,
	.usage = RECALL_CMD_USERS_USAGE" [--tenant <tenant>] "
		"[--since <date>] [--actor <name>] [--reason <text>] "
		"[<recall-id>]",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_SINCE, CMD_PARAM_STR, 0)
RECALL_CMD_RECORD_PARAMS
DOVEADM_CMD_PARAMS_END
};
