#ifndef BRUTEFORCE_H
#define BRUTEFORCE_H

#include <stdbool.h>

#include "config.h"

/* Counts an attempt to log in, for the address and for the account, before its
   outcome is known, so that many at once do not get past the limits. Returns 0
   if it may go on, or for how many seconds it may not. An account that is
   guessed at stays open to the addresses it has logged in from before. */
int64_t bruteforce_attempt(const struct config *config, const char *address,
			   const char *login);
/* The attempt was not wrong: it does not count. Those that were still do: an
   own password must not buy more guesses at others'. */
void bruteforce_undo(const char *address, const char *login);
/* The same if it was right. */
void bruteforce_accepted(const char *address, const char *login);

/* Whether it's time to find out whose account that is: somebody has tried more
   than once, and it is not known. */
bool bruteforce_is_guessed(const char *login);
/* The login is the mailbox's user, or an alias: its attempts are counted as
   attempts at that account. */
void bruteforce_set_account(const char *login, const char *mailbox);

#endif
