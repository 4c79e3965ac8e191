#ifndef CLOCK_H
#define CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* Milliseconds on a clock that never goes back. */
int64_t now_ms(void);

/* pthread_cond_timedwait() for so many milliseconds from now, by that clock,
   too: by the other one it would last an hour longer when that is set back by
   one. */
void cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms);

/* Seconds since the epoch of a time as the plugin writes it,
   "2026-01-31T12:34:56Z"; 0 if it is none. */
int64_t parse_utc(const char *text);

#endif
