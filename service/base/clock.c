#include <string.h>
#include <time.h>

#include "clock.h"

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms)
{
	const int64_t until = now_ms() + ms;
	const struct timespec ts = {
		.tv_sec = until / 1000,
		.tv_nsec = until % 1000 * 1000000,
	};

	(void)pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &ts);
}

int64_t parse_utc(const char *text)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL ? 0 :
		(int64_t)timegm(&tm);
}
