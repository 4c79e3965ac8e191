#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <jansson.h>

/* JSON that is whole or is not there. Building it by jansson's functions fails
   for lack of memory one member or item at a time, which nobody looks at: a
   request to delete could lose what limits it, an answer a row. */

/* From now on the process ends where jansson finds no memory, as with alloc.h,
   but for what follows. Called once, before other threads are. */
void json_text_init(void);

/* json_dumps(). The caller frees it. */
char *json_to_text(const json_t *json, size_t flags);

/* For what others make as large as they like: NULL if there is no memory, of
   json_loadb() with json_error_out_of_memory. */
char *try_json_to_text(const json_t *json, size_t flags);
json_t *try_json_from_text(const char *text, size_t len, size_t flags,
			   json_error_t *error_r);

#endif
