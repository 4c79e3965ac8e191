#include <string.h>
#include <time.h>

#include "clock.h"

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t parse_utc(const char *text)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL ? 0 :
		(int64_t)timegm(&tm);
}
