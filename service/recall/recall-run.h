#ifndef RECALL_RUN_H
#define RECALL_RUN_H

#include "config.h"
#include "recall.h"

/* What became of the whole. */
enum recall_outcome {
	RECALL_DONE,
	/* The process is about to stop: the rest is in the journal. */
	RECALL_INTERRUPTED,
	/* All recalls, or those of a node, are stopped: likewise. */
	RECALL_PAUSED,
	/* No doveadm answered for anyone. */
	RECALL_UNREACHABLE,
	RECALL_TIMEOUT
};

/* Asks doveadm about all users who have no verdict yet, journals the verdicts
   as they come, and returns when everyone has one. */
enum recall_outcome recall_run(struct recall *recall, struct config *config);
/* Finds out what there is to recall: the same verdicts as a dry run has, but
   nothing is journalled or counted. */
enum recall_outcome recall_probe(struct recall *recall, struct config *config);
/* From now on recalls begin no new batch. */
void recall_interrupt_all(void);
/* Whether that was called. */
bool recall_interrupted(void);

#endif
