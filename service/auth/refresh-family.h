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

/* The access tokens of the login's family that may be good still; zeroed there
   are none. */
struct refresh_family {
	char *id;
	/* whether there are any, and whether any of them name the family */
	bool found, named;
	/* of those that do not: versions before made them */
	struct strlist jtis;
	/* until when they may be good, or 0 if that is not known */
	int64_t expires;
};
bool refresh_family_find(sqlite3 *db, const char *id, const char *login,
			 int64_t now, struct refresh_family *family_r);
void refresh_family_free(struct refresh_family *family);
/* Until when the access token is good that the tenant reaches as above, or 0 if
   it is not known. */
bool refresh_family_access(sqlite3 *db, const char *jti, const char *tenant,
			   int64_t *expires_r);
/* Whether the login has a session that the tenant reaches as above. */
bool refresh_family_has_login(sqlite3 *db, const char *login,
			      const char *tenant, bool *found_r);
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
