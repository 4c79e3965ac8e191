#ifndef RECALL_PARAMS_JSON_H
#define RECALL_PARAMS_JSON_H

#include <jansson.h>

#include "recall.h"

/* doveadm's command for the recall, and its parameters but for the users: a
   reference of the caller. */
const char *recall_command(const struct recall *recall);
json_t *recall_make_params(const struct recall *recall, bool dry_run);

#endif
