#ifndef RECALL_ID_H
#define RECALL_ID_H

#include <stdbool.h>

#include "recall-limits.h"

/* Whether it is the id of a recall: RECALL_ID_LEN hexadecimal digits in lower
   case. */
bool recall_id_is_valid(const char *id);
/* What follows the id that the text begins with, NULL if there is none. */
const char *recall_id_skip(const char *text);

#endif
