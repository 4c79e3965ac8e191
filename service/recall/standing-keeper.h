#ifndef STANDING_KEEPER_H
#define STANDING_KEEPER_H

#include <stdbool.h>

/* Threads that have orders reach the nodes that were down, look for what came
   there meanwhile, and collect what orders have taken. */

bool standing_keeper_start(void);
/* Returns when nothing is under way any more; recalls have been interrupted
   before. */
void standing_keeper_stop(void);

/* Somebody wants to know: collects at once. */
void standing_keeper_collect(void);

#endif
