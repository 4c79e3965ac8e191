/* Loaded into a program by LD_PRELOAD, it makes the clock differ: by as many
   seconds as stand in a file that all these processes and the test map (struct
   clock_control), so that the test sets the clock at any time. Only the one
   that people set: what counts from the machine's start goes on. See clocks.py.

   Times of files are the kernel's, and stay right. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* As in clocks.py. */
struct clock_control {
	/* seconds */
	int64_t ahead;
	/* only in programs of this name, unless it is empty */
	char program[16];
};

/* how often a wait until some time looks at the clock */
#define LOOK_NSECS (20 * 1000 * 1000)

static const struct clock_control *control;

__attribute__((constructor)) static void clock_init(void)
{
	const char *path = getenv("CLOCK_CONTROL");
	const struct clock_control *map;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*map), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED &&
	    (map->program[0] == '\0' ||
	     strncmp(program_invocation_short_name, map->program,
		     sizeof(map->program) - 1) == 0))
		control = map;
}

static int64_t clock_ahead(void)
{
	return control == NULL ? 0 :
		__atomic_load_n(&control->ahead, __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*next)(clockid_t id, struct timespec *ts);
	int ret;

	if (next == NULL)
		next = (int (*)(clockid_t, struct timespec *))
			dlsym(RTLD_NEXT, "clock_gettime");
	ret = next(id, ts);
	if (ret == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += clock_ahead();
	return ret;
}

time_t time(time_t *time_r)
{
	struct timespec ts;

	/* what files have */
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	if (time_r != NULL)
		*time_r = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

/* The kernel's lasts until the clock says so, whoever sets it meanwhile. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	struct timespec now;
	int ret;

	for (;;) {
		(void)clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec > until->tv_sec ||
		    (now.tv_sec == until->tv_sec &&
		     now.tv_nsec >= until->tv_nsec))
			return ETIMEDOUT;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		now.tv_nsec += LOOK_NSECS;
		if (now.tv_nsec >= 1000 * 1000 * 1000) {
			now.tv_nsec -= 1000 * 1000 * 1000;
			now.tv_sec++;
		}
		ret = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC,
					     &now);
		if (ret != ETIMEDOUT)
			return ret;
	}
}
