#ifndef STANDING_LATE_H
#define STANDING_LATE_H

#include "config.h"

/* Asks all nodes what their standing orders have taken, journals what is new,
   and writes it to the audit trail. A node that does not answer is asked for
   the same the next time. */
void standing_late_collect(struct config *config);

#endif
