#ifndef RECALL_ROWS_READ_H
#define RECALL_ROWS_READ_H

#include <jansson.h>

#include "recall.h"

/* What a verdict row of doveadm's says of the user: nothing if recalls are
   stopped on the node. */
void recall_row_take(struct recall_user *user, const json_t *row);
/* The user's verdict is an error. */
void recall_row_set_error(struct recall_user *user, const char *error);
/* The user, who was in error, is to be asked about once more. */
void recall_row_retry(struct recall_user *user);
/* Whether recalls are stopped there. */
bool recall_row_is_stop(const json_t *row);
/* Which of the names, the keys of an object, a row's name is: the same one, or
   if there is none one that differs in case alone. NULL if it is none. */
const char *recall_row_find_name(json_t *asked, const char *username);
/* A text of the row, or NULL. */
const char *recall_row_column(const json_t *row, const char *name);

#endif
