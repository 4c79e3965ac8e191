#include "lib.h"
#include "iso8601-date.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-row-read.h"

static const char *
row_column(struct recall_verdict_rows *vrows, const char *const *columns,
	   const char *name)
{
	return columns[recall_rows_find(recall_row_get_rows(vrows), name)];
}

static enum recall_notice_status row_notice(const char *name)
{
	unsigned int i;

	for (i = 0; i < RECALL_NOTICE_COUNT; i++) {
		if (strcmp(recall_notice_status_name(i), name) == 0)
			return i;
	}
	return RECALL_NOTICE_NONE;
}

static time_t row_time(const char *value)
{
	time_t t;
	int zone;

	return iso8601_date_parse((const unsigned char *)value, strlen(value),
				  &t, &zone) ? t : 0;
}

void recall_row_read(struct recall_verdict_rows *vrows, const char *username,
		     const char *const *columns, struct recall_row *row_r)
{
#define COLUMN(name) row_column(vrows, columns, RECALL_COLUMN_##name)
	struct recall_outcome *outcome = &row_r->outcome;
	int verdict = recall_verdict_parse(COLUMN(STATUS));

	i_zero(row_r);
	row_r->username = username;
	if (verdict < 0 || str_to_uint(COLUMN(COPIES), &outcome->copies) < 0 ||
	    str_to_uint(COLUMN(PRESENT), &outcome->present) < 0) {
		outcome->verdict = RECALL_VERDICT_ERROR;
		outcome->error = "The process's answer has no verdict";
		return;
	}
	outcome->verdict = verdict;
	outcome->notice = row_notice(COLUMN(NOTICE));
	outcome->mailboxes = COLUMN(MAILBOXES);
	outcome->mailbox_guids = COLUMN(MAILBOX_GUIDS);
	outcome->kept_until = row_time(COLUMN(KEPT_UNTIL));
	outcome->error = COLUMN(ERROR);
	row_r->searched = COLUMN(SEARCHED);
	if (*COLUMN(MAILBOX_USER) != '\0')
		row_r->mailbox_user = COLUMN(MAILBOX_USER);
#undef COLUMN
}

static bool
row_did_nothing(struct recall_verdict_rows *vrows, const char *const *columns)
{
	switch (recall_verdict_parse(row_column(vrows, columns,
						RECALL_COLUMN_STATUS))) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_ALREADY_RECALLED:
		return TRUE;
	default:
		return FALSE;
	}
}

bool recall_row_is_better(struct recall_verdict_rows *vrows,
			  const char *const *columns, const char *const *other)
{
	return row_did_nothing(vrows, columns) &&
		!row_did_nothing(vrows, other);
}
