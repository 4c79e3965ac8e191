#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "alloc.h"
#include "doveadm-answer.h"
#include "json-text.h"

const char *row_text(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value == NULL ? "" : value;
}

int64_t row_number(const json_t *row, const char *name)
{
	const char *text = row_text(row, name);
	int64_t value;

	if (*text < '0' || *text > '9')
		return 0;
	value = strtoll(text, NULL, 10);
	return value > ROW_NUMBER_MAX ? ROW_NUMBER_MAX : value;
}

static bool
users_are_sound(const json_t *rows, const char *after, size_t limit)
{
	const char *name, *last = after;
	const json_t *row;
	size_t i;

	if (!json_is_array(rows))
		return false;
	json_array_foreach(rows, i, row) {
		name = row_text(row, RECALL_COLUMN_USERNAME);
		if (i == limit || *name == '\0' ||
		    (last != NULL && strcmp(name, last) <= 0))
			return false;
		last = name;
	}
	return true;
}

char *doveadm_users_check(const json_t *rows, const char *after, size_t limit,
			  uint64_t *listed, int64_t max)
{
	*listed += json_array_size(rows);
	if (!users_are_sound(rows, after, limit))
		return x_strdup("lists users who were not asked for");
	return *listed <= (uint64_t)max ? NULL :
		x_asprintf("lists more than %lld users (doveadm.max_users)",
			   (long long)max);
}

/* What is none is not the same as no rows: somebody would be told that nobody
   has anything. */
static bool is_form(const json_t *value, enum doveadm_form form)
{
	return form == DOVEADM_OBJECT ? json_is_object(value) :
		json_is_array(value);
}

enum doveadm_result
doveadm_answer_read(const char *data, size_t len, enum doveadm_form form,
		    json_t **answer_r, int *exit_code_r, char **error_r)
{
	json_t *answer = try_json_from_text(data, len, JSON_ALLOW_NUL, NULL);
	json_t *first = json_array_get(answer, 0);
	json_t *value = json_array_get(first, 1);
	const char *kind = json_string_value(json_array_get(first, 0)), *type;
	enum doveadm_result result = DOVEADM_UNREACHABLE;

	*answer_r = NULL;
	*exit_code_r = 0;
	*error_r = NULL;
	if (form == DOVEADM_COMMANDS && json_is_object(first)) {
		result = DOVEADM_OK;
		*answer_r = json_incref(answer);
	} else if (kind != NULL && strcmp(kind, "doveadmResponse") == 0 &&
		   is_form(value, form)) {
		result = DOVEADM_OK;
		*answer_r = json_incref(value);
	} else if (kind != NULL && strcmp(kind, "error") == 0) {
		result = DOVEADM_FAILED;
		type = json_string_value(json_object_get(value, "type"));
		*exit_code_r = (int)json_integer_value(
			json_object_get(value, "exitCode"));
		*error_r = x_asprintf("doveadm answered %s %d",
				      type != NULL ? type : "error",
				      *exit_code_r);
	} else {
		*error_r = x_strdup("doveadm's answer is not valid");
	}
	json_decref(answer);
	return result;
}
