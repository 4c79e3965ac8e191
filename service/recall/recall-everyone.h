#ifndef RECALL_EVERYONE_H
#define RECALL_EVERYONE_H

#include "config.h"
#include "recall-outcome.h"

/* A recall from everyone: each node lists its own users, a part at a time, and
   is asked about them; nodes at the same time. Journalled are who had the
   message, who could not be looked at, and how far each node is: so a recall
   that was interrupted goes on where it stopped. A node that can't be reached
   is asked again, after pauses that grow, for as long as it takes. */

/* Returns when all nodes have been through, or when the process is about to
   stop. */
enum recall_outcome recall_everyone_run(struct recall *recall,
					struct config *config);

#endif
