#ifndef JOBS_H
#define JOBS_H

#include "config.h"
#include "recall.h"
#include "recall-outcome.h"

/* Recalls that run in the background. */

bool jobs_start(const struct config *config);
/* Runs the recall, which is in the journal already and read from there when its
   turn has come, and frees it. If too many wait it is tried again now and
   then. */
void jobs_add(struct recall *recall);
/* If the journal lacks something of the recall, which has come to this, takes
   it over: it is written as soon as that can be, and waits then if it has to.
   Returns false if the journal has it all. */
bool jobs_keep(struct recall *recall, enum recall_outcome outcome);
/* Tries to write what jobs_keep() has. Called now and then. */
void jobs_save(void);
/* Has the journalled recall wait until recalls are not stopped any more. */
void jobs_pause(const char *id);
/* Whether it waits for that. */
bool jobs_is_paused(const char *id);
/* Adds the ids of all that do. */
void jobs_get_paused(struct strlist *ids);
/* Goes on with those that wait, for a place, too. Called now and then: that a
   node is released is seen by trying. */
void jobs_unpause(void);
/* Runs what the journal says has not finished. Returns false if it does not
   say. */
bool jobs_resume(void);
void jobs_stop(void);
/* How many wait or run. */
unsigned int jobs_busy(void);

#endif
