#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "log.h"
#include "visible.h"

#define LIMIT_MS (60 * 1000)
#define LIMIT_LINES 10

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = STDERR_FILENO;
/* read without the lock: a reload may change them at any time */
static enum log_level log_level_max = LOG_LEVEL_INFO;
static bool log_journald;

static const char *const level_names[] = { "error", "warning", "info",
					   "debug" };
/* syslog's numbers, as sd-daemon(3) has them */
static const int level_priorities[] = { 3, 4, 6, 7 };

bool log_open(const char *path, enum log_level level)
{
	int fd = STDERR_FILENO;

	if (*path != '\0') {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			  0640);
		if (fd < 0)
			return false;
	}
	pthread_mutex_lock(&log_lock);
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	log_fd = fd;
	__atomic_store_n(&log_level_max, level, __ATOMIC_RELAXED);
	__atomic_store_n(&log_journald, fd == STDERR_FILENO &&
			 getenv("JOURNAL_STREAM") != NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&log_lock);
	return true;
}

void log_close(void)
{
	(void)log_open("", log_level_max);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	struct timespec now;
	struct tm tm;
	char when[32];
	char *text, *line, *in, *out;
	va_list args;
	uint32_t code;
	bool hidden;
	size_t len;

	if (level > __atomic_load_n(&log_level_max, __ATOMIC_RELAXED))
		return;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text == NULL)
		return;
	for (in = out = text; *in != '\0'; in += len) {
		len = visible_next(in, &code, &hidden);
		if (hidden)
			*out++ = ' ';
		else
			out = (char *)memmove(out, in, len) + len;
	}
	*out = '\0';
	if (__atomic_load_n(&log_journald, __ATOMIC_RELAXED)) {
		line = x_asprintf("<%d>%s\n", level_priorities[level], text);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
		line = x_asprintf("%s.%03ldZ mail-recalld[%d] %s: %s\n", when,
				  now.tv_nsec / 1000000, (int)getpid(),
				  level_names[level], text);
	}
	free(text);
	pthread_mutex_lock(&log_lock);
	/* a log that cannot be written leaves nowhere to complain to */
	if (write(log_fd, line, strlen(line)) < 0)
		errno = 0;
	pthread_mutex_unlock(&log_lock);
	free(line);
}

bool log_limit_pass(struct log_limit *limit, unsigned int *left_out_r)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool ret;

	*left_out_r = 0;
	pthread_mutex_lock(&lock);
	if (limit->count == 0 || now_ms() - limit->begun_ms >= LIMIT_MS) {
		if (limit->count > LIMIT_LINES)
			*left_out_r = limit->count - LIMIT_LINES;
		limit->begun_ms = now_ms();
		limit->count = 0;
	}
	ret = limit->count++ < LIMIT_LINES;
	pthread_mutex_unlock(&lock);
	return ret;
}
