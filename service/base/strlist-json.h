#ifndef STRLIST_JSON_H
#define STRLIST_JSON_H

#include <jansson.h>

#include "strlist.h"

/* A list as a JSON array of strings, which is how it travels and is stored. */

/* The caller gets the reference. */
json_t *strlist_to_json(const struct strlist *l);
/* The same as text; the caller frees it. */
char *strlist_to_json_text(const struct strlist *l);
/* Adds what such a text has; NULL is as good as an empty array. */
void strlist_add_json_text(struct strlist *l, const char *text);

#endif
