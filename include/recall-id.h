#ifndef RECALL_ID_H
#define RECALL_ID_H

#include <stdbool.h>

/* The id of a recall: RECALL_ID_LEN lower case hexadecimal digits. */

/* Returns true if the text is one. */
bool recall_id_is_valid(const char *text);
/* Returns what follows the id that the text begins with, NULL if there is
   none. */
const char *recall_id_skip(const char *text);

#endif
