#ifndef REVOCATION_H
#define REVOCATION_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth-token.h"
#include "refresh-family.h"

/* Access tokens are good until they expire, whatever becomes of the user in
   between, unless they are revoked. What was is kept in the journal, and in
   memory, where every request looks. All functions may be called from any
   thread. */

/* How long what has expired is known: a clock may be wrong. */
#define REVOCATION_KEEP_EXPIRED 86400

/* Of tokens and logins that the journal knows nothing of a tenant's
   administrators revoke so many at most. */
#define REVOCATION_UNKNOWN_MAX 10000

enum revocation_kind {
	/* one token */
	REVOKE_TOKEN = 0,
	/* all of one session that name it */
	REVOKE_SESSION,
	/* all of one login */
	REVOKE_LOGIN,
	/* all */
	REVOKE_ALL
};

struct revocation {
	enum revocation_kind kind;
	/* the jti, the id of a family, or the login; "" for all */
	const char *subject;
	/* Only tokens of this tenant, and none of a super administrator; "":
	   whatever they say. */
	const char *tenant;
	/* tokens that were issued until then, or that do not say when; of one
	   token, or session: any time */
	int64_t before;
	/* until when they may be good, 0 if that is not known */
	int64_t expires;
};

enum revocation_result {
	REVOCATION_OK = 0,
	/* it can't be journalled */
	REVOCATION_FAILED,
	/* the tenant has too many of what is not known */
	REVOCATION_FULL
};


/* Takes over what the journal has. Returns false if it can't be read. */
bool revocations_load(void);
/* From now on they are revoked, and their refresh tokens end. */
enum revocation_result
revocation_add(const struct revocation *revocation, int64_t now);
/* The same of all tokens that came of the login's session, the id of a family.
   found_r is whether it has any that may be good still. Returns false if that
   can't be journalled. */
bool revocation_add_session(const char *login, const char *id, int64_t now,
			    bool *found_r);
/* Within a transaction on the journal's connection: the login's session of this
   id ends, and family_r gets its access tokens that may be good still. They are
   revoked when the second one is called, after the transaction and before the
   journal is unlocked. */
bool revocation_end_family(sqlite3 *db, const char *login, const char *id,
			   int64_t now, struct refresh_family *family_r);
void revocation_remember_family(const struct refresh_family *family);
/* Whether the token of this identity is revoked. */
bool revocation_applies(const struct identity *identity);
/* The time until which tokens of such an identity are revoked, or -1: a new
   one has to be of a later time. */
int64_t revocation_until(const struct identity *identity);
/* How many revocations of logins, or of all, there have been so far. */
uint64_t revocation_count(void);
/* Whether there was one of such an identity when there had been so many: who
   was logging in then is not to have what was revoked. */
bool revocation_since(const struct identity *identity, uint64_t count);
/* Forgets what no token can be older than any more. */
void revocations_purge(int64_t now);
void revocations_free(void);

#endif
