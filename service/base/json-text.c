#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "json-text.h"

struct text {
	char *data;
	size_t len, size;
	/* jansson goes on after the name of a member that was not taken */
	bool failed;
};

/* whether a caller sees that there was no memory */
static _Thread_local bool may_fail;

static void *json_alloc(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL && !may_fail)
		x_out_of_memory();
	return p;
}

void json_text_init(void)
{
	json_set_alloc_funcs(json_alloc, free);
}

json_t *try_json_from_text(const char *text, size_t len, size_t flags,
			   json_error_t *error_r)
{
	json_t *json;

	may_fail = true;
	json = json_loadb(text, len, flags, error_r);
	may_fail = false;
	return json;
}

static int text_add(const char *data, size_t len, void *context)
{
	struct text *text = context;
	size_t size = text->size;
	char *more;

	if (text->failed)
		return -1;
	/* one octet is left for the end */
	while (size - text->len <= len)
		size = size == 0 ? 1024 : size * 2;
	if (size > text->size) {
		more = realloc(text->data, size);
		if (more == NULL) {
			text->failed = true;
			return -1;
		}
		text->data = more;
		text->size = size;
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
	return 0;
}

char *try_json_to_text(const json_t *json, size_t flags)
{
	struct text text = { .data = NULL };

	may_fail = true;
	if (json_dump_callback(json, text_add, &text, flags) < 0)
		text.failed = true;
	may_fail = false;
	if (text.failed) {
		free(text.data);
		return NULL;
	}
	return text.data;
}

char *json_to_text(const json_t *json, size_t flags)
{
	char *text = try_json_to_text(json, flags);

	if (text == NULL)
		x_out_of_memory();
	return text;
}
