#include <stdbool.h>
#include <stdlib.h>

#include "recall-limits.h"
#include "http-json.h"
#include "http-limits.h"
#include "json-text.h"

/* Twice what all addresses and the other parameters need. */
#define VALUES_MAX ((RECALL_USERS_MAX + HTTP_PARAMS_EXTRA) * 2)

/* An upper bound: each value but the first follows one of these. */
static size_t count_values(const char *text, size_t len)
{
	bool quoted = false;
	size_t i, n = 1;

	for (i = 0; i < len; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted)
			i += text[i] == '\\';
		else if (text[i] == ',' || text[i] == '[' || text[i] == '{')
			n++;
	}
	return n;
}

/* A string is copied, while it grows, and once more. Once there is no memory
   jansson asks for it again for every octet, which takes minutes. */
static bool is_room(size_t len)
{
	/* volatile: or the compiler leaves both calls out */
	void *volatile p = malloc(len * 4 + 1);

	free(p);
	return p != NULL;
}

json_t *http_json_load(const char *text, size_t len, size_t flags,
		       const char **error_r)
{
	json_error_t error;
	json_t *json;

	if (count_values(text, len) > VALUES_MAX) {
		*error_r = "has too many values";
		return NULL;
	}
	if (!is_room(len)) {
		*error_r = HTTP_NO_MEMORY;
		return NULL;
	}
	json = try_json_from_text(text, len, flags, &error);
	if (json == NULL)
		*error_r = json_error_code(&error) ==
			json_error_out_of_memory ? HTTP_NO_MEMORY :
			"is not valid JSON";
	return json;
}
