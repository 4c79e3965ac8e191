#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "doveadm.h"
#include "failpoint.h"
#include "doveadm-recall-params.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-standing.h"
#include "recall-events.h"
#include "recall-quarantine-read.h"
#include "recall-quarantine-settings.h"
#include "recall-verdict.h"
#include "doveadm-recall-record-rows.h"
#include "doveadm-recall-plugin.h"

#include <time.h>

#define SECS_PER_DAY (24 * 60 * 60)

struct recall_purge_command {
	struct recall_record_command cmd;
	time_t oldest;
	/* of any age, whatever the clock said when it was recalled */
	bool all;
	bool dry_run;
	bool purged;
	/* the user's are not to be deleted */
	bool held;
	/* how much of all users there is that is old enough */
	unsigned int held_copies, held_recalls;
};

static int purge_begin(struct recall_record_command *_cmd,
		       struct mail_user *user, const char **error_r)
{
	struct recall_purge_command *cmd =
		container_of(_cmd, struct recall_purge_command, cmd);
	unsigned int days;

	if (recall_settings_parse_days(
			recall_settings(user)->recall_quarantine_days,
			&days, error_r) < 0)
		return -1;
	cmd->oldest = time(NULL) - (time_t)days * SECS_PER_DAY;
	cmd->all = days == 0;
	cmd->purged = FALSE;
	cmd->held = recall_quarantine_is_held(user);
	return 0;
}

/* The records go last: what a killed purge leaves can be purged once more. */
static int
purge_boxes(struct recall_quarantine *q,
	    const ARRAY_TYPE(recall_quarantine_box) *boxes,
	    const char **error_r)
{
	const struct recall_quarantine_box *qbox, *records = NULL;

	array_foreach(boxes, qbox) {
		if (guid_128_is_empty(qbox->guid)) {
			records = qbox;
			continue;
		}
		if (recall_quarantine_box_delete(q, qbox, error_r) < 0)
			return -1;
		RECALL_FAILPOINT("purge-deleted");
	}
	return records == NULL ? 0 :
		recall_quarantine_box_delete(q, records, error_r);
}

/* Without a record, or with one that has lost its time, it is not known how old
   copies are. Where there is none, a purge was stopped when it had deleted all
   but the mailboxes. */
static int
purge_left_over(struct recall_quarantine *q,
		const ARRAY_TYPE(recall_quarantine_box) *boxes, bool dry_run,
		const char **error_r)
{
	const struct recall_quarantine_box *qbox;
	unsigned int copies = 0;

	array_foreach(boxes, qbox) {
		if (!guid_128_is_empty(qbox->guid) && !qbox->nonexistent &&
		    recall_quarantine_box_count(q, qbox, &copies, error_r) < 0)
			return -1;
	}
	if (copies > 0) {
		*error_r = "There is no record that tells how old this is";
		return -1;
	}
	return dry_run ? 0 : purge_boxes(q, boxes, error_r);
}

/* What was restored would be recalled anew. */
static bool purge_must_wait(struct mail_user *user, const char *recall_id,
			    const struct recall_quarantine_record *record)
{
	return record->restored != 0 && recall_standing_is_in_force(
			recall_settings(user)->recall_standing_dir, recall_id,
			time(NULL));
}

static void
purge_record(struct recall_record_command *_cmd, struct recall_quarantine *q,
	     const char *username, const char *recall_id,
	     const ARRAY_TYPE(recall_quarantine_box) *listed,
	     const struct recall_quarantine_record *record)
{
	struct recall_purge_command *cmd =
		container_of(_cmd, struct recall_purge_command, cmd);
	ARRAY_TYPE(recall_quarantine_box) boxes;
	struct recall_record_row row = {
		.username = username,
		.recall_id = recall_id,
		.record = record,
		.status = cmd->dry_run ? "would_purge" : "purged",
	};

	/* what is not listed must not be left without a record */
	t_array_init(&boxes, array_count(listed) + 1);
	array_append_array(&boxes, listed);
	if (record != NULL) {
		recall_quarantine_add_unlisted(q, pool_datastack_create(),
					       record, &boxes);
	}
	if (record == NULL || (record->recalled == 0 && !cmd->all)) {
		if (purge_left_over(q, &boxes, cmd->dry_run, &row.error) == 0)
			cmd->purged = !cmd->dry_run;
	} else if ((record->latest > cmd->oldest && !cmd->all) ||
		   purge_must_wait(q->user, recall_id, record)) {
		return;
	} else {
		row.copies = recall_quarantine_record_copies(record);
		if (cmd->held) {
			row.status = "held";
			cmd->held_copies += row.copies;
			cmd->held_recalls++;
		} else if (!cmd->dry_run &&
		    purge_boxes(q, &boxes, &row.error) == 0) {
			cmd->purged = TRUE;
			recall_event_purged(q->user, recall_id,
					    cmd->cmd.request.order.quiet);
		}
	}
	if (row.error != NULL)
		row.status = recall_verdict_name(RECALL_VERDICT_ERROR);
	recall_record_row_print(&cmd->cmd, &row);
}

static void
purge_end(struct recall_record_command *_cmd, struct recall_quarantine *q)
{
	struct recall_purge_command *cmd =
		container_of(_cmd, struct recall_purge_command, cmd);
	struct mail_storage *storage;

	if (!cmd->purged)
		return;
	/* mdbox: now give back the space, too. That may take minutes, which no
	   recall has to wait for. */
	recall_quarantine_unlock(q);
	RECALL_FAILPOINT("purge-unlocked");
	storage = mail_namespace_get_default_storage(q->ns);
	if (mail_storage_purge(storage) < 0) {
		e_error(q->user->event, "recall: Purging storage failed: %s",
			mail_storage_get_last_internal_error(storage, NULL));
	}
}

static void cmd_recall_purge(struct doveadm_cmd_context *cctx)
{
	struct recall_purge_command cmd = {
		.cmd = {
			.lock = TRUE,
			.begin = purge_begin,
			.record = purge_record,
			.end = purge_end,
		},
	};

	if (recall_cmd_params_check(cctx) < 0 ||
	    recall_cmd_param_flag(cctx, RECALL_PARAM_DRY_RUN,
				  RECALL_PARAM_DRY_RUN_HTTP, &cmd.dry_run) < 0)
		return;
	recall_record_command_run(cctx, &cmd.cmd);
	if (cmd.held_recalls > 0)
		i_info("recall_hold: %u copies of %u recalls are held",
		       cmd.held_copies, cmd.held_recalls);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_purge = {
	.name = RECALL_CMD_PURGE,
	.cmd = cmd_recall_purge,
	.usage = RECALL_CMD_USERS_USAGE" [--dry-run] [--tenant <tenant>] "
		"[<recall-id>]",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_RECORD_ID_PARAMS
RECALL_CMD_FLAG_PARAM('n', RECALL_PARAM_DRY_RUN, RECALL_PARAM_DRY_RUN_HTTP)
DOVEADM_CMD_PARAMS_END
};
