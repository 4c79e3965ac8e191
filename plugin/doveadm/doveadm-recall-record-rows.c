#include "lib.h"
#include "array.h"
#include "str.h"
#include "iso8601-date.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "recall-names.h"
#include "recall-tenant.h"
#include "recall-verdict.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-record-rows.h"

#include <time.h>

/* Octets of all of a user's records, which are in memory together: they are the
   user's files. */
#define RECORDS_SIZE_MAX (32 * 1024 * 1024)

static const struct recall_column record_columns[] = {
	{ .name = RECALL_COLUMN_RECALL_ID },
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_STATUS },
	{ .name = RECALL_COLUMN_DATE, .flags = RECALL_COLUMN_FLAG_DAY },
	{ .name = RECALL_COLUMN_ACTOR, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_REASON, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_MESSAGE_ID, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_COPIES,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY |
		RECALL_COLUMN_FLAG_NUMBER | RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_MAILBOXES, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_ERROR },
};

void recall_record_row_print(struct recall_record_command *cmd,
			     const struct recall_record_row *row)
{
	const struct recall_quarantine_record *record = row->record;
	const struct recall_quarantine_record_box *rbox;
	struct recall_rows *rows = cmd->rows;
	string_t *mailboxes = t_str_new(64);

	if (row->error != NULL)
		recall_rows_set_exit_code(rows, EX_TEMPFAIL);
	if (record == NULL) {
		recall_rows_add_known(rows,
			RECALL_COLUMN_RECALL_ID, row->recall_id,
			RECALL_COLUMN_USERNAME, row->username,
			RECALL_COLUMN_STATUS, row->status,
			RECALL_COLUMN_ERROR, row->error, NULL);
		return;
	}
	recall_rows_add(rows, row->recall_id);
	recall_rows_add(rows, row->username);
	recall_rows_add(rows, row->status);
	recall_rows_add(rows, iso8601_date_create_tm(gmtime(&record->recalled),
						     INT_MAX));
	recall_rows_add(rows, record->actor);
	recall_rows_add(rows, record->reason);
	recall_rows_add(rows, record->message_id);
	recall_rows_add(rows, dec2str(row->copies));
	array_foreach(&record->boxes, rbox) {
		if (rbox->copies > 0)
			recall_names_append(mailboxes, rbox->vname);
	}
	recall_rows_add(rows, str_c(mailboxes));
	recall_rows_add(rows, row->error);
}

static void
record_command_unseen(void *context, const char *username,
		      enum recall_verdict verdict, const char *error)
{
	struct recall_record_command *cmd = context;

	if (verdict == RECALL_VERDICT_ERROR)
		recall_rows_set_exit_code(cmd->rows, EX_TEMPFAIL);
	recall_rows_add_known(cmd->rows, RECALL_COLUMN_USERNAME, username,
		RECALL_COLUMN_STATUS, recall_verdict_name(verdict),
		RECALL_COLUMN_ERROR, error, NULL);
}

/* One of the user's recalls. */
struct record_entry {
	const char *recall_id, *error;
	/* what reading the record has returned */
	int ret;
	struct recall_quarantine_record record;
};

/* Oldest first; those of which that's not known come last. */
static int
record_entry_cmp(const struct record_entry *e1, const struct record_entry *e2)
{
	if ((e1->ret > 0) != (e2->ret > 0))
		return e1->ret > 0 ? -1 : 1;
	if (e1->ret > 0 && e1->record.recalled != e2->record.recalled)
		return e1->record.recalled < e2->record.recalled ? -1 : 1;
	return strcmp(e1->recall_id, e2->recall_id);
}

static void
record_command_one(struct recall_record_command *cmd,
		   struct recall_quarantine *q, const char *username,
		   const struct record_entry *entry,
		   const ARRAY_TYPE(recall_quarantine_box) *all)
{
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;

	if (entry->ret < 0) {
		const struct recall_record_row row = {
			.username = username,
			.recall_id = entry->recall_id,
			.status = recall_verdict_name(RECALL_VERDICT_ERROR),
			.error = entry->error,
		};
		recall_record_row_print(cmd, &row);
		return;
	}
	t_array_init(&boxes, 4);
	array_foreach(all, qbox) {
		if (strcmp(qbox->recall_id, entry->recall_id) == 0)
			array_push_back(&boxes, qbox);
	}
	cmd->record(cmd, q, username, entry->recall_id, &boxes,
		    entry->ret == 0 ? NULL : &entry->record);
}

static void
record_entry_read(struct record_entry *entry, struct recall_quarantine *q,
		  pool_t pool, size_t *left)
{
	if (*left == 0) {
		entry->error = "The user's records are too long";
		entry->ret = -1;
		return;
	}
	entry->ret = recall_quarantine_record_read(q, pool, entry->recall_id,
						   &entry->record,
						   &entry->error);
	*left -= I_MIN(entry->record.octets, *left);
}

static void
record_command_all(struct recall_record_command *cmd,
		   struct recall_quarantine *q, const char *username,
		   const ARRAY_TYPE(recall_quarantine_box) *boxes)
{
	pool_t pool = pool_alloconly_create("recall records", 4096);
	size_t left = RECORDS_SIZE_MAX;
	ARRAY_TYPE(const_string) done;
	ARRAY(struct record_entry) entries;
	const struct recall_quarantine_box *qbox;
	struct record_entry *entry;

	t_array_init(&done, 16);
	t_array_init(&entries, 16);
	array_foreach(boxes, qbox) {
		if (array_lsearch(&done, &qbox->recall_id,
				  i_strcmp_p) != NULL)
			continue;
		array_push_back(&done, &qbox->recall_id);
		entry = array_append_space(&entries);
		entry->recall_id = qbox->recall_id;
		record_entry_read(entry, q, pool, &left);
	}
	array_sort(&entries, record_entry_cmp);
	array_foreach_modifiable(&entries, entry) T_BEGIN {
		record_command_one(cmd, q, username, entry, boxes);
	} T_END;
	pool_unref(&pool);
}

static int
record_command_user(struct recall_record_command *cmd, struct mail_user *user,
		    const char *username, const char **error_r)
{
	struct recall_quarantine q;
	ARRAY_TYPE(recall_quarantine_box) boxes;
	int ret;

	ret = recall_quarantine_init(user, &q, error_r);
	if (ret <= 0)
		return ret;
	if (cmd->begin != NULL)
		ret = cmd->begin(cmd, user, error_r) < 0 ? -1 : 1;
	if (ret > 0 && cmd->lock)
		ret = recall_quarantine_lock_old(&q, error_r);
	if (ret > 0 &&
	    (recall_quarantine_list(&q, pool_datastack_create(), cmd->recall_id,
				    &boxes, error_r) < 0 ||
	     (array_is_empty(&boxes) &&
	      recall_quarantine_check_listed(&q, error_r) < 0)))
		ret = -1;
	if (ret > 0) {
		record_command_all(cmd, &q, username, &boxes);
		if (cmd->end != NULL)
			cmd->end(cmd, &q);
	}
	recall_quarantine_deinit(&q);
	return ret < 0 ? -1 : 0;
}

static void
record_command_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_record_command *cmd = context;
	const char *error;

	if (!recall_tenant_matches(cmd->request.order.tenant, user)) {
		record_command_unseen(cmd, username, RECALL_VERDICT_FORBIDDEN,
				      NULL);
	} else if (record_command_user(cmd, user, username, &error) < 0) {
		record_command_unseen(cmd, username, RECALL_VERDICT_ERROR,
				      error);
	}
}

static const struct recall_users_callbacks record_callbacks = {
	.run = record_command_run,
	.unseen = record_command_unseen,
};

void recall_record_command_run(struct doveadm_cmd_context *cctx,
			       struct recall_record_command *cmd)
{
	if (recall_request_parse_id(cctx, &cmd->request) < 0)
		return;
	if (cmd->request.order.may_be_retry)
		cmd->recall_id = cmd->request.order.recall_id;
	cmd->rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
				     record_columns,
				     N_ELEMENTS(record_columns));
	(void)recall_users_run(cctx, cmd->rows, &record_callbacks, cmd);
	recall_rows_deinit(&cmd->rows);
}
