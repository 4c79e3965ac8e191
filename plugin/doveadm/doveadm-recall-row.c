#include "lib.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-report.h"
#include "doveadm-recall-row.h"

static bool row_errors;
static struct recall_reporter *row_reporter;

void recall_row_init(struct recall_reporter *reporter)
{
	row_reporter = reporter;
	row_errors = FALSE;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	doveadm_print_header_simple(RECALL_COLUMN_USERNAME);
	doveadm_print_header_simple(RECALL_COLUMN_STATUS);
	doveadm_print_header(RECALL_COLUMN_COPIES, RECALL_COLUMN_COPIES,
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header_simple(RECALL_COLUMN_NOTICE);
	doveadm_print_header_simple(RECALL_COLUMN_MAILBOXES);
	doveadm_print_header_simple(RECALL_COLUMN_MAILBOX_GUIDS);
	doveadm_print_header_simple(RECALL_COLUMN_RECALL_ID);
	doveadm_print_header_simple(RECALL_COLUMN_SEARCHED);
	doveadm_print_header_simple(RECALL_COLUMN_ERROR);
}

static const char *text_or_empty(const char *text)
{
	return text == NULL ? "" : text;
}

void recall_row_print(const char *recall_id, const struct recall_row *row)
{
	if (row->verdict == RECALL_VERDICT_ERROR)
		row_errors = TRUE;
	recall_reporter_add(row_reporter, row);
	doveadm_print(row->username);
	doveadm_print(recall_verdict_name(row->verdict));
	doveadm_print(dec2str(row->copies));
	doveadm_print(recall_notice_status_name(row->notice));
	doveadm_print(text_or_empty(row->mailboxes));
	doveadm_print(text_or_empty(row->mailbox_guids));
	doveadm_print(recall_id);
	doveadm_print(text_or_empty(row->searched));
	doveadm_print(text_or_empty(row->error));
}

void recall_row_finish(const struct doveadm_cmd_context *cctx)
{
	if (row_errors && cctx->conn_type != DOVEADM_CONNECTION_TYPE_HTTP)
		doveadm_exit_code = EX_TEMPFAIL;
}
