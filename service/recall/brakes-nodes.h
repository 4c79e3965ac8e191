#ifndef BRAKES_NODES_H
#define BRAKES_NODES_H

#include <jansson.h>

#include "config.h"
#include "journal-stop.h"

/* The parameters of recall stop: whether to release instead, who says so, and
   why ("": nothing). The caller gets the reference. */
json_t *brakes_params(bool release, const char *actor, const char *reason);
/* Asks all doveadm servers of the settings to stop recalls, or to release
   them. Returns an array of {"url": ..., "stopped": ...}, with "error" of those
   of which that is not known; the caller gets the reference. *ok_r is whether
   there is none. These are told later what holds then: see brakes-doubts.h.
   stop is the one that has begun or ended, its actor NULL if none had begun;
   who releases it. */
json_t *brakes_tell_nodes(struct config *config, bool release, const char *who,
			  const struct journal_stop *stop, bool *ok_r);

#endif
