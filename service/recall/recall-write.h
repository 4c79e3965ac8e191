#ifndef RECALL_WRITE_H
#define RECALL_WRITE_H

#include "recall.h"

/* Writes all that is known of the recall to the journal, whether it has that
   or not. */
bool recall_write(const struct recall *recall);
#endif
