#ifndef RECALL_JSON_H
#define RECALL_JSON_H

#include <jansson.h>

#include "recall.h"

/* What the API calls the state of the recall of this id. */
const char *recall_json_state(const char *id, enum recall_approval approval,
			      bool finished);
/* The whole as the API answers it; the caller gets the reference. */
json_t *recall_to_json(const struct recall *recall);
/* Sets what it looks for: the query, or the Message-ID. */
void recall_json_set_criteria(json_t *json, const struct recall *recall);

#endif
