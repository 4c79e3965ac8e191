#ifndef BRUTEFORCE_H
#define BRUTEFORCE_H

#include <netinet/in.h>

#include "config.h"

/* What is counted for an address: whoever has one of IPv6 usually has its whole
   /64. */
void bruteforce_network(const char *address, char out[INET6_ADDRSTRLEN]);

/* Counts a login attempt from the address before its outcome is known, so that
   many at once do not get past the limit. Returns 0 if it may go on, or for
   how many seconds the address is blocked. */
int64_t bruteforce_attempt(const struct config *config, const char *address);
/* The attempt was not wrong: it does not count. Those that were still do: an own
   password must not buy more guesses at others'. */
void bruteforce_undo(const char *address);

#endif
