#include "strlist-json.h"
#include "json-text.h"

json_t *strlist_to_json(const struct strlist *l)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < l->count; i++)
		json_array_append_new(array, json_string(l->items[i]));
	return array;
}

char *strlist_to_json_text(const struct strlist *l)
{
	json_t *array = strlist_to_json(l);
	char *text = json_to_text(array, JSON_COMPACT);

	json_decref(array);
	return text;
}

void strlist_add_json_text(struct strlist *l, const char *text)
{
	json_t *array = text == NULL ? NULL : json_loads(text, 0, NULL), *item;
	size_t i;

	json_array_foreach(array, i, item) {
		if (json_is_string(item))
			strlist_add(l, json_string_value(item));
	}
	json_decref(array);
}
