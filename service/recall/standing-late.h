#ifndef STANDING_LATE_H
#define STANDING_LATE_H

#include <jansson.h>

#include "config.h"
#include "journal-late.h"

/* Asks all nodes what their standing orders have taken, journals what is new,
   and writes it to the audit trail. A node that does not answer is asked for
   the same the next time. */
void standing_late_collect(struct config *config);

/* Reads what a node says of a late recall; the caller clears it. Returns false
   if it is none. */
bool standing_late_read(const json_t *row, const char *url,
			struct journal_late *late);

#endif
