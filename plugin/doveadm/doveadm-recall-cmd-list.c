#include "lib.h"
#include "array.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "doveadm-recall-record-rows.h"
#include "doveadm-recall-plugin.h"

static void
list_record(struct recall_record_command *cmd ATTR_UNUSED,
	    struct recall_quarantine *q ATTR_UNUSED, const char *username,
	    const char *recall_id,
	    const ARRAY_TYPE(recall_quarantine_box) *boxes ATTR_UNUSED,
	    const struct recall_quarantine_record *record)
{
	struct recall_record_row row = {
		.username = username,
		.recall_id = recall_id,
		.record = record,
	};

	if (record == NULL) {
		row.status = recall_verdict_name(RECALL_VERDICT_ERROR);
		row.error = "There is no record of the recall";
	} else {
		row.status = recall_verdict_name(record->restored != 0 ?
			RECALL_VERDICT_RESTORED : RECALL_VERDICT_EXPUNGED);
		row.copies = recall_quarantine_record_copies(record);
	}
	recall_record_row_print(&row);
}

static void cmd_recall_list(struct doveadm_cmd_context *cctx)
{
	struct recall_record_command cmd = { .record = list_record };

	recall_record_command_run(cctx, &cmd);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_list = {
	.name = RECALL_CMD_LIST,
	.cmd = cmd_recall_list,
	.usage = RECALL_CMD_USERS_USAGE" [--tenant <tenant>] [<recall-id>]",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_RECORD_PARAMS
DOVEADM_CMD_PARAMS_END
};
