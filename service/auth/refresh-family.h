#ifndef REFRESH_FAMILY_H
#define REFRESH_FAMILY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "strlist.h"

/* Families of refresh tokens (see refresh-token.h), and the access tokens that
   came with them, as the journal has them: the caller has locked it. Functions
   return false if it can't be read or written. */

/* Ends what came with the access token, or what a login (NULL: any) got until
   the time; "" as the tenant is any, with another one nothing of a super
   administrator's ends. */
bool refresh_family_end_access(sqlite3 *db, const char *jti,
			       const char *tenant);
bool refresh_family_end_login(sqlite3 *db, const char *login,
			      const char *tenant, int64_t before);

/* Adds to jtis the access tokens of the login's family that may be good
   still. */
bool refresh_family_find(sqlite3 *db, const char *family, const char *login,
			 int64_t now, struct strlist *jtis);
/* How many access tokens of the family are good still. */
bool refresh_family_count(sqlite3 *db, const char *family, int64_t now,
			  int64_t *count_r);
/* Ends the login's family. */
bool refresh_family_end(sqlite3 *db, const char *family, const char *login);
/* Adds to jtis the access tokens that a login (NULL: any) got after the time:
   the clock was set back since. */
bool refresh_family_find_ahead(sqlite3 *db, const char *login,
			       const char *tenant, int64_t now,
			       struct strlist *jtis);

#endif
