#ifndef BRAKES_DOUBTS_H
#define BRAKES_DOUBTS_H

#include "config.h"

/* Tells the nodes that could not be told whether recalls are stopped what holds
   now, as far as it's time for that; waits for their answers. A stop that
   somebody has made at the node itself stays. */
void brakes_settle_doubts(struct config *config);

#endif
