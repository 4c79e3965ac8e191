#ifndef BRAKES_NODES_H
#define BRAKES_NODES_H

#include <jansson.h>

#include "config.h"

/* Asks all doveadm servers of the settings to stop recalls, or to release
   them. Returns an array of {"url": ..., "stopped": ...}, with "error" of those
   of which that is not known; the caller gets the reference. *ok_r is whether
   there is none. */
json_t *brakes_tell_nodes(struct config *config, bool release,
			  const char *actor, const char *reason, bool *ok_r);

#endif
