#include <string.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "clock.h"
#include "doveadm-answer.h"
#include "recall-rows.h"

const char *recall_row_column(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

void recall_row_set_error(struct recall_user *user, const char *error)
{
	user->verdict = RECALL_VERDICT_ERROR;
	recall_set_text(&user->error, error);
}

bool recall_row_is_stop(const json_t *row)
{
	const char *status = recall_row_column(row, RECALL_COLUMN_STATUS);
	const char *error = recall_row_column(row, RECALL_COLUMN_ERROR);

	return status != NULL && error != NULL &&
	       recall_verdict_parse(status) == RECALL_VERDICT_ERROR &&
	       strncmp(error, RECALL_ERROR_STOPPED,
		       strlen(RECALL_ERROR_STOPPED)) == 0;
}

void recall_row_take(struct recall_user *user, const json_t *row)
{
#define COLUMN(name) recall_row_column(row, RECALL_COLUMN_##name)
	const char *status = COLUMN(STATUS);
	int verdict = status == NULL ? -1 : recall_verdict_parse(status);

	if (verdict < 0) {
		recall_row_set_error(user, "doveadm's answer has an unknown "
				     "status");
		return;
	}
	if (recall_row_is_stop(row))
		return;
	user->verdict = verdict;
	user->copies = row_number(row, RECALL_COLUMN_COPIES);
	user->present = row_number(row, RECALL_COLUMN_PRESENT);
	user->kept_until = COLUMN(KEPT_UNTIL) == NULL ? 0 :
		parse_utc(COLUMN(KEPT_UNTIL));
	recall_set_text(&user->notice, COLUMN(NOTICE));
	recall_set_text(&user->mailboxes, COLUMN(MAILBOXES));
	recall_set_text(&user->mailbox_user, COLUMN(MAILBOX_USER));
	recall_set_text(&user->searched, COLUMN(SEARCHED));
	recall_set_text(&user->error, COLUMN(ERROR));
#undef COLUMN
}
