#ifndef RECALL_RUN_H
#define RECALL_RUN_H

#include "config.h"
#include "recall.h"
#include "recall-outcome.h"

/* Asks doveadm about all users who have no verdict yet, journals the verdicts
   as they come, and returns when everyone has one. */
enum recall_outcome recall_run(struct recall *recall, struct config *config);
/* Asks once more about the users of a recall that has finished whose verdict is
   an error. Returns for how many it still is. */
size_t recall_run_again(struct recall *recall, struct config *config);
/* Finds out what there is to recall: the same verdicts as a dry run has, but
   nothing is journalled or counted. */
enum recall_outcome recall_probe(struct recall *recall, struct config *config);
#endif
