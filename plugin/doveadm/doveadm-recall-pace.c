#include "lib.h"
#include "doveadm-recall-pace.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY_NICE 10

/* linux/ioprio.h; glibc has no wrappers */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_BE 2
#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_LOWEST ((IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT) | 7)

uint64_t recall_pace_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		i_fatal("clock_gettime() failed: %m");
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t recall_pace_take(struct recall_pace *pace, uint64_t now_usecs)
{
	uint64_t due;

	if (pace->rate == 0)
		return 0;
	due = I_MAX(pace->next_usecs, now_usecs);
	pace->next_usecs = due + 1000000 / pace->rate;
	return due - now_usecs;
}

void recall_priority_lower(struct recall_priority *old_r, bool lasting)
{
	i_zero(old_r);
	old_r->io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	/* of the class "best effort": "idle" would never be served where others
	   always have something to do */
	if (old_r->io != -1 && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
				       IOPRIO_LOWEST) == 0)
		old_r->io_lowered = TRUE;

	errno = 0;
	old_r->nice = getpriority(PRIO_PROCESS, 0);
	/* only root gets its priority back */
	if (errno == 0 && old_r->nice < PRIORITY_NICE &&
	    (!lasting || geteuid() == 0) &&
	    setpriority(PRIO_PROCESS, 0, PRIORITY_NICE) == 0)
		old_r->nice_lowered = TRUE;
}

void recall_priority_restore(const struct recall_priority *old)
{
	if (old->io_lowered && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
				       old->io) < 0)
		i_warning("ioprio_set() failed: %m");
	if (old->nice_lowered &&
	    setpriority(PRIO_PROCESS, 0, old->nice) < 0)
		i_warning("setpriority() failed: %m");
}
