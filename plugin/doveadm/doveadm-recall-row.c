#include "lib.h"
#include "hash.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-print.h"
#include "doveadm-recall-report.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-users.h"

static const struct recall_print_column row_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_STATUS },
	{ .name = RECALL_COLUMN_COPIES, .flags = RECALL_PRINT_RIGHT_JUSTIFY },
	{ .name = RECALL_COLUMN_NOTICE },
	{ .name = RECALL_COLUMN_MAILBOXES },
	{ .name = RECALL_COLUMN_MAILBOX_GUIDS, .flags = RECALL_PRINT_WIDE },
	{ .name = RECALL_COLUMN_RECALL_ID, .flags = RECALL_PRINT_WIDE },
	{ .name = RECALL_COLUMN_SEARCHED, .flags = RECALL_PRINT_WIDE },
	{ .name = RECALL_COLUMN_MAILBOX_USER, .flags = RECALL_PRINT_WIDE },
	{ .name = RECALL_COLUMN_PRESENT, .flags = RECALL_PRINT_WIDE },
	{ .name = RECALL_COLUMN_ERROR },
};

static bool row_errors;
/* only the rows of users who have the message */
static bool row_hits;
static unsigned int row_users;
static struct recall_reporter *row_reporter;
/* user of a mailbox => its row, if that may be asked for once more */
static HASH_TABLE(const char *, struct recall_row *) rows;
static pool_t rows_pool;

void recall_row_init(const struct doveadm_cmd_context *cctx,
		     struct recall_reporter *reporter)
{
	if (recall_users_are_named(cctx)) {
		rows_pool = pool_alloconly_create("recall rows", 1024);
		hash_table_create(&rows, rows_pool, 0, str_hash, strcmp);
	}
	row_reporter = reporter;
	row_errors = FALSE;
	row_hits = FALSE;
	row_users = 0;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS, &row_hits);
	recall_print_init(DOVEADM_PRINT_TYPE_TABLE, row_columns,
			  N_ELEMENTS(row_columns));
}

static const char *text_or_empty(const char *text)
{
	return text == NULL ? "" : text;
}

static void row_keep(const struct recall_row *row)
{
	struct recall_row *copy;
	struct recall_outcome *outcome;

	if (rows_pool == NULL || row->mailbox_user == NULL)
		return;
	copy = p_new(rows_pool, struct recall_row, 1);
	*copy = *row;
	copy->mailbox_user = p_strdup(rows_pool, row->mailbox_user);
	copy->searched = p_strdup(rows_pool, row->searched);
	outcome = &copy->outcome;
	outcome->mailboxes = p_strdup(rows_pool, outcome->mailboxes);
	outcome->mailbox_guids = p_strdup(rows_pool, outcome->mailbox_guids);
	outcome->error = p_strdup(rows_pool, outcome->error);
	hash_table_update(rows, copy->mailbox_user, copy);
}

static void row_print(const char *recall_id, const struct recall_row *row)
{
	const struct recall_outcome *outcome = &row->outcome;

	row_users++;
	if (row_hits && (outcome->verdict == RECALL_VERDICT_NOT_FOUND ||
			 outcome->verdict == RECALL_VERDICT_FORBIDDEN))
		return;
	if (outcome->verdict == RECALL_VERDICT_ERROR)
		row_errors = TRUE;
	recall_print(row->username);
	recall_print(recall_verdict_name(outcome->verdict));
	recall_print(dec2str(outcome->copies));
	recall_print(recall_notice_status_name(outcome->notice));
	recall_print(text_or_empty(outcome->mailboxes));
	recall_print(text_or_empty(outcome->mailbox_guids));
	recall_print(recall_id);
	recall_print(text_or_empty(row->searched));
	recall_print(text_or_empty(row->mailbox_user));
	recall_print(dec2str(outcome->present));
	recall_print(text_or_empty(outcome->error));
}

void recall_row_print(const char *recall_id, const struct recall_row *row)
{
	recall_reporter_add(row_reporter, row->username, &row->outcome,
			    FALSE);
	row_print(recall_id, row);
	row_keep(row);
}

void recall_row_print_unseen(const char *recall_id, const char *username,
			     enum recall_verdict verdict, const char *error)
{
	const struct recall_row row = {
		.username = username,
		.outcome = { .verdict = verdict, .error = error },
	};

	recall_row_print(recall_id, &row);
}

void recall_row_repeat(const char *recall_id, const char *username,
		       const char *mailbox_user)
{
	struct recall_row row, *kept;

	kept = hash_table_lookup(rows, mailbox_user);
	i_assert(kept != NULL);
	row = *kept;
	row.username = username;
	recall_reporter_add(row_reporter, row.username, &row.outcome, TRUE);
	row_print(recall_id, &row);
}

void recall_row_add_proxied(void)
{
	row_users++;
}

void recall_row_finish(const struct doveadm_cmd_context *cctx)
{
	if (row_hits && cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
		i_info("%u users were looked at", row_users);
	if (row_errors && cctx->conn_type != DOVEADM_CONNECTION_TYPE_HTTP)
		doveadm_exit_code = EX_TEMPFAIL;
}

void recall_row_deinit(void)
{
	if (rows_pool == NULL)
		return;
	hash_table_destroy(&rows);
	pool_unref(&rows_pool);
}
