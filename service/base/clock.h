#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds on a clock that never goes back. */
int64_t now_ms(void);

/* Seconds since the epoch of a time as the plugin writes it,
   "2026-01-31T12:34:56Z"; 0 if it is none. */
int64_t parse_utc(const char *text);

#endif
