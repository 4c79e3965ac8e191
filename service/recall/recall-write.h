#ifndef RECALL_WRITE_H
#define RECALL_WRITE_H

#include "recall.h"

/* Notes whether the journal lacks something of it. That it does is logged
   once. */
void recall_set_unsaved(struct recall *recall, bool unsaved);
/* Writes all that is known of the recall to the journal, whether it has that
   or not. Returns false if that could not be done, as recall->unsaved tells
   then. */
bool recall_write(struct recall *recall);
#endif
