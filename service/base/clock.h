#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds on a clock that never goes back. */
int64_t now_ms(void);

#endif
