#ifndef RECALL_JSON_H
#define RECALL_JSON_H

#include <jansson.h>

#include "recall.h"

/* The whole as the API answers it; the caller gets the reference. */
json_t *recall_to_json(const struct recall *recall);
/* Sets what it looks for: the query, or the Message-ID. */
void recall_json_set_criteria(json_t *json, const struct recall *recall);

#endif
