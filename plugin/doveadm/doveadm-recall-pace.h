#ifndef RECALL_PACE_H
#define RECALL_PACE_H

#include <stdint.h>

/* What keeps a command over many users from being in everyone's way: no more
   than so many users a second, and a low priority of processor and disk. */

struct recall_pace {
	/* users a second; 0: as many as there may be */
	unsigned int rate;
	/* when the next one is due */
	uint64_t next_usecs;
};

/* Microseconds of a clock that never goes back. */
uint64_t recall_pace_now(void);
/* Takes the next slot. Returns for how many microseconds, counted from `now`
   (of such a clock), to wait for it. Slots that nobody took
   are lost: a slow user is not followed by a rush. */
uint64_t recall_pace_take(struct recall_pace *pace, uint64_t now_usecs);

/* A process's priorities, as they were. */
struct recall_priority {
	int nice, io;
	/* whether they have been lowered */
	bool nice_lowered, io_lowered;
};

/* Gives way to other processes. What this process could not take back again is
   left as it is if the process goes on after the command (lasting). */
void recall_priority_lower(struct recall_priority *old_r, bool lasting);
void recall_priority_restore(const struct recall_priority *old);

#endif
