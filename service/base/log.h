#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Logs to the file, or to stderr if path is "". With journald at the other end
   of stderr, lines begin with its priority prefix instead of the time. May be
   called again: a new file is opened, also after it was rotated. Returns false
   (errno is set) if the file could not be opened; the old one stays then. */
bool log_open(const char *path, enum log_level level);
void log_close(void);

/* One line; what is not visible (see visible.h) is replaced, so that nothing
   that came from outside can forge another one. */
void log_msg(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Of what may be said over and over, by threads: whether to say it, which is
   the case a few times a minute. *left_out_r is how many times it was not said
   before. Begins with zeroes. */
struct log_limit {
	int64_t begun_ms;
	unsigned int count;
};
bool log_limit_pass(struct log_limit *limit, unsigned int *left_out_r);

#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
