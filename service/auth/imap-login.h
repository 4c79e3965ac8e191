#ifndef IMAP_LOGIN_H
#define IMAP_LOGIN_H

#include "config.h"

enum imap_login_result {
	IMAP_LOGIN_OK = 0,
	IMAP_LOGIN_DENIED,
	/* The mail system does not say. */
	IMAP_LOGIN_FAILED
};

/* Whether Dovecot accepts the login and password, by logging in over IMAP.
   Dovecot gets the address that asks, and delays who guesses there: it may
   be empty. */
enum imap_login_result
imap_login_check(const struct config *config, const char *login,
		 const char *password, const char *address);

#endif
