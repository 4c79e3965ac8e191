#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-answer.h"
#include "recall-rows.h"

const char *recall_row_column(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

const char *recall_row_find_name(json_t *asked, const char *username)
{
	const char *name;
	json_t *value;

	if (json_object_get(asked, username) != NULL)
		return username;
	json_object_foreach(asked, name, value) {
		if (strcasecmp(name, username) == 0)
			return name;
	}
	return NULL;
}

/* How many copies a node has deleted that the user has left since, as the error
   of the try before says. */
static int64_t left_copies(const struct recall_user *user)
{
	static const char mark[] = RECALL_ERROR_LEFT_NODE "expunged, ";
	const char *text = user->error == NULL ? NULL :
		strstr(user->error, mark);
	int64_t copies = text == NULL ? 0 :
		strtoll(text + sizeof(mark) - 1, NULL, 10);

	return copies < 0 || copies > INT32_MAX ? 0 : copies;
}

/* The next one may be gone, too, or have nothing: that is not forgotten. */
static void add_left(struct recall_user *user, int64_t copies)
{
	static const char mark[] = " (" RECALL_ERROR_LEFT_NODE;
	const char *text, *end;
	char *error;

	if (copies == 0)
		return;
	switch (user->verdict) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_NO_USER:
	case RECALL_VERDICT_ALREADY_RECALLED:
		user->verdict = RECALL_VERDICT_EXPUNGED;
		user->copies = 0;
		recall_set_text(&user->error, NULL);
		/* fall through */
	case RECALL_VERDICT_EXPUNGED:
		user->copies += copies;
		break;
	default:
		/* it may have been left as well */
		copies += left_copies(user);
		text = user->error == NULL ? "" : user->error;
		end = strstr(text, mark);
		error = x_asprintf("%.*s%sexpunged, %lld)", end == NULL ?
				   (int)strlen(text) : (int)(end - text), text,
				   mark, (long long)copies);
		recall_set_text(&user->error, error);
		free(error);
	}
}

void recall_row_set_error(struct recall_user *user, const char *error)
{
	const int64_t left = left_copies(user);

	user->verdict = RECALL_VERDICT_ERROR;
	recall_set_text(&user->error, error);
	add_left(user, left);
}

void recall_row_retry(struct recall_user *user)
{
	const int64_t left = left_copies(user);

	recall_user_reset(user);
	user->verdict = RECALL_VERDICT_ERROR;
	add_left(user, left);
	user->verdict = -1;
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
	const int64_t left = left_copies(user);
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
	add_left(user, left);
#undef COLUMN
}
