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

/* Reads what doveadm answered about the user, as above. Returns false, with
   nothing in identity_r, if the user may not log in here. */
bool userdb_read(const struct config *config, const char *login,
		 const json_t *answer, struct identity *identity_r,
		 struct strlist *aliases);

/* Adds all names that are known of whoever logs in so: the login itself,
   aliases, and the user whose mailbox it is. mailbox_r is that one, or the
   login, unless that is an alias; the caller frees it. DOVEADM_FAILED: there is
   no such user, so it has no other name. */
enum doveadm_result
userdb_names(struct config *config, const char *login, struct strlist *names,
	     char **mailbox_r);

#endif
