#ifndef BRAKES_NODES_H
#define BRAKES_NODES_H

#include <jansson.h>

#include "config.h"
#include "journal-stop.h"

/* The parameters of recall stop: whether to release instead, who says so, and
   why ("": nothing). The caller gets the reference. */
json_t *brakes_params(bool release, const char *actor, const char *reason);
struct brakes_release {
	const char *who;
	/* stops of others, too: those made at a node's shell */
	bool all;
};

/* Asks all doveadm servers of the settings to stop recalls, or to release
   them. Returns an array of {"url": ..., "stopped": ...}, with "error" of those
   of which that is not known, or that another stop holds; the caller gets the
   reference. *ok_r is whether there is none. Those that do not answer are told
   later what holds then: see brakes-doubts.h. stop is the one that has begun or
   ended, its actor NULL if none had begun; release is NULL if it begins. */
json_t *brakes_tell_nodes(struct config *config,
			  const struct brakes_release *release,
			  const struct journal_stop *stop, bool *ok_r);

#endif
