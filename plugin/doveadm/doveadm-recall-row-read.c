#include "lib.h"
#include "recall-params.h"
#include "doveadm-recall-print.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-row-read.h"

static const char *row_column(const char *const *columns, const char *name)
{
	return columns[recall_print_find(name)];
}

static enum recall_notice_status row_notice(const char *const *columns)
{
	const char *name = row_column(columns, RECALL_COLUMN_NOTICE);
	unsigned int i;

	for (i = 0; i < RECALL_NOTICE_COUNT; i++) {
		if (strcmp(recall_notice_status_name(i), name) == 0)
			return i;
	}
	return RECALL_NOTICE_NONE;
}

int recall_row_read(const char *username, const char *const *columns,
		    struct recall_row *row_r)
{
	struct recall_outcome *outcome = &row_r->outcome;
	int verdict = recall_verdict_parse(
		row_column(columns, RECALL_COLUMN_STATUS));

	i_zero(row_r);
	row_r->username = username;
	if (verdict < 0 ||
	    str_to_uint(row_column(columns, RECALL_COLUMN_COPIES),
			&outcome->copies) < 0 ||
	    str_to_uint(row_column(columns, RECALL_COLUMN_PRESENT),
			&outcome->present) < 0) {
		outcome->verdict = RECALL_VERDICT_ERROR;
		outcome->error = "The process's answer has no verdict";
		return -1;
	}
	outcome->verdict = verdict;
	outcome->notice = row_notice(columns);
	row_r->mailbox_user = row_column(columns, RECALL_COLUMN_MAILBOX_USER);
	outcome->mailboxes = row_column(columns, RECALL_COLUMN_MAILBOXES);
	outcome->mailbox_guids =
		row_column(columns, RECALL_COLUMN_MAILBOX_GUIDS);
	row_r->searched = row_column(columns, RECALL_COLUMN_SEARCHED);
	outcome->error = row_column(columns, RECALL_COLUMN_ERROR);
	return 0;
}

void recall_row_print_columns(const char *recall_id, const char *username,
			      const char *const *columns)
{
	struct recall_row row;

	(void)recall_row_read(username, columns, &row);
	recall_row_print(recall_id, &row);
}

static bool row_did_nothing(const char *const *columns)
{
	switch (recall_verdict_parse(row_column(columns,
						RECALL_COLUMN_STATUS))) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_ALREADY_RECALLED:
		return TRUE;
	default:
		return FALSE;
	}
}

bool recall_row_is_better(const char *const *columns, const char *const *other)
{
	return row_did_nothing(columns) && !row_did_nothing(other);
}
