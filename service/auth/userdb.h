#ifndef USERDB_H
#define USERDB_H

#include "auth-token.h"
#include "config.h"
#include "doveadm-client.h"

/* Asks Dovecot about a user: role and tenant into identity_r, aliases (may be
   NULL) into a list. DOVEADM_FAILED means that there is no such user, or that
   the user has no role or is locked. */
enum doveadm_result
userdb_lookup(struct config *config, const char *login,
	      struct identity *identity_r, struct strlist *aliases);

#endif
