#ifndef RECALL_STOP_H
#define RECALL_STOP_H

/* Whether somebody has stopped all recalls of the node: a file beside the
   standing orders (setting recall_standing_dir), which is looked for before
   each user. */

struct recall_stop {
	/* "" if not given */
	const char *actor, *reason;
	time_t since;
};

/* Returns 1 if recalls are stopped, 0 if not, -1 if that can't be known. */
int recall_stop_read(const char *dir, struct recall_stop *stop_r,
		     const char **error_r);
/* Stops recalls. Returns 1 if they are stopped now, 0 if they were before,
   which stays as it is, or -1 on errors. */
int recall_stop_set(const char *dir, const struct recall_stop *stop,
		    const char **error_r);
/* Returns 1 if they were stopped, 0 if not, -1 on errors. With only_actor it's
   a stop of that actor, for the reason, that ends, and no other one. */
int recall_stop_release(const char *dir, const char *only_actor,
			const char *reason, const char **error_r);

/* What a recall of the node says that must not go on: NULL if it may. */
const char *recall_stop_check(const char *dir);

#endif
