#ifndef RECALL_OUTCOME_H
#define RECALL_OUTCOME_H

#include <stdbool.h>

#include "recall.h"

/* What became of the whole. */
enum recall_outcome {
	RECALL_DONE,
	/* The process is about to stop: the rest is in the journal. */
	RECALL_INTERRUPTED,
	/* All recalls, or those of a node, are stopped: likewise. */
	RECALL_PAUSED,
	/* It makes room for others while nodes are down: likewise. */
	RECALL_YIELDED,
	/* No doveadm answered for anyone. */
	RECALL_UNREACHABLE,
	RECALL_TIMEOUT
};

/* Whether it is over. */
bool recall_has_ended(enum recall_outcome outcome);
/* From now on recalls begin no new batch. */
void recall_interrupt_all(void);
/* Whether that was called. */
bool recall_interrupted(void);
/* Whether the recall is to begin none: because of that, or since recalls are
   stopped. What deletes nothing goes on then, and so does what puts messages
   back. */
bool recall_is_held(const struct recall *recall);

#endif
