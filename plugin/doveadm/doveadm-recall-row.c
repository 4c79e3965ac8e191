#include "lib.h"
#include "hash.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-report.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"

static const struct recall_column row_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_STATUS },
	{ .name = RECALL_COLUMN_COPIES,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY },
	{ .name = RECALL_COLUMN_NOTICE },
	{ .name = RECALL_COLUMN_MAILBOXES },
	{ .name = RECALL_COLUMN_MAILBOX_GUIDS,
	  .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_RECALL_ID, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_SEARCHED, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_MAILBOX_USER,
	  .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_PRESENT, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_KEPT_UNTIL, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_ERROR },
};

struct recall_verdict_rows {
	pool_t pool;
	const struct doveadm_cmd_context *cctx;
	struct recall_rows *rows;
	const char *recall_id;
	struct recall_reporter *reporter;
	unsigned int users;
	/* only the rows of users who have the message */
	bool hits;
	/* user of a mailbox => its row, if that may be asked for once more */
	HASH_TABLE(const char *, struct recall_row *) kept;
};

struct recall_verdict_rows *
recall_row_init(const struct doveadm_cmd_context *cctx, const char *recall_id,
		struct recall_reporter *reporter)
{
	struct recall_verdict_rows *vrows;
	pool_t pool = pool_alloconly_create("recall verdict rows", 1024);

	vrows = p_new(pool, struct recall_verdict_rows, 1);
	vrows->pool = pool;
	vrows->cctx = cctx;
	vrows->recall_id = recall_id;
	vrows->reporter = reporter;
	if (recall_users_have_names(cctx))
		hash_table_create(&vrows->kept, pool, 0, str_hash, strcmp);
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS, &vrows->hits);
	vrows->rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
				       row_columns, N_ELEMENTS(row_columns));
	return vrows;
}

void recall_row_deinit(struct recall_verdict_rows **_vrows)
{
	struct recall_verdict_rows *vrows = *_vrows;

	*_vrows = NULL;
	recall_rows_deinit(&vrows->rows);
	hash_table_destroy(&vrows->kept);
	pool_unref(&vrows->pool);
}

struct recall_rows *recall_row_get_rows(struct recall_verdict_rows *vrows)
{
	return vrows->rows;
}

static void
row_keep(struct recall_verdict_rows *vrows, const struct recall_row *row)
{
	struct recall_row *copy;
	struct recall_outcome *outcome;
	pool_t pool = vrows->pool;

	if (!hash_table_is_created(vrows->kept) || row->mailbox_user == NULL)
		return;
	copy = p_new(pool, struct recall_row, 1);
	*copy = *row;
	copy->mailbox_user = p_strdup(pool, row->mailbox_user);
	copy->searched = p_strdup(pool, row->searched);
	outcome = &copy->outcome;
	outcome->mailboxes = p_strdup(pool, outcome->mailboxes);
	outcome->mailbox_guids = p_strdup(pool, outcome->mailbox_guids);
	outcome->error = p_strdup(pool, outcome->error);
	hash_table_update(vrows->kept, copy->mailbox_user, copy);
}

static void
row_print(struct recall_verdict_rows *vrows, const struct recall_row *row)
{
	const struct recall_outcome *outcome = &row->outcome;
	struct recall_rows *rows = vrows->rows;

	vrows->users++;
	if (vrows->hits && (outcome->verdict == RECALL_VERDICT_NOT_FOUND ||
			    outcome->verdict == RECALL_VERDICT_FORBIDDEN))
		return;
	if (outcome->verdict == RECALL_VERDICT_ERROR)
		recall_rows_set_exit_code(rows, EX_TEMPFAIL);
	recall_rows_add(rows, row->username);
	recall_rows_add(rows, recall_verdict_name(outcome->verdict));
	recall_rows_add(rows, dec2str(outcome->copies));
	recall_rows_add(rows, recall_notice_status_name(outcome->notice));
	recall_rows_add(rows, outcome->mailboxes);
	recall_rows_add(rows, outcome->mailbox_guids);
	recall_rows_add(rows, vrows->recall_id);
	recall_rows_add(rows, row->searched);
	recall_rows_add(rows, row->mailbox_user);
	recall_rows_add(rows, dec2str(outcome->present));
	recall_rows_add(rows, outcome->kept_until == 0 ? "" :
			recall_listing_time(outcome->kept_until));
	recall_rows_add(rows, outcome->error);
	/* whoever asked should know even if this process dies over the next
	   one: asked again, it would find nothing */
	if (outcome->verdict == RECALL_VERDICT_EXPUNGED ||
	    outcome->verdict == RECALL_VERDICT_RESTORED)
		recall_rows_send(rows);
}

void recall_row_print(struct recall_verdict_rows *vrows,
		      const struct recall_row *row)
{
	recall_reporter_add(vrows->reporter, row->username, &row->outcome,
			    FALSE);
	row_print(vrows, row);
	row_keep(vrows, row);
}

void recall_row_print_unseen(struct recall_verdict_rows *vrows,
			     const char *username, enum recall_verdict verdict,
			     const char *error)
{
	const struct recall_row row = {
		.username = username,
		.outcome = { .verdict = verdict, .error = error },
	};

	recall_row_print(vrows, &row);
}

void recall_row_repeat(struct recall_verdict_rows *vrows, const char *username,
		       const char *mailbox_user)
{
	struct recall_row row, *kept;

	kept = hash_table_lookup(vrows->kept, mailbox_user);
	i_assert(kept != NULL);
	row = *kept;
	row.username = username;
	recall_reporter_add(vrows->reporter, row.username, &row.outcome, TRUE);
	row_print(vrows, &row);
}

void recall_row_add_proxied(struct recall_verdict_rows *vrows,
			    const char *username)
{
	vrows->users++;
	recall_reporter_add_proxied(vrows->reporter, username);
}

void recall_row_finish(struct recall_verdict_rows *vrows)
{
	if (vrows->hits &&
	    vrows->cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
		i_info("%u users were looked at", vrows->users);
}
