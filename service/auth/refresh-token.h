#ifndef REFRESH_TOKEN_H
#define REFRESH_TOKEN_H

#include <stdint.h>

#include "auth-token.h"

/* Refresh tokens. Each is good once and is replaced when used; all that came
   from one login are a family. One that is used again was stolen, from or by
   whoever came first, so the whole family ends, with the access tokens that
   came of it. Only hashes are kept. */

#define REFRESH_TOKEN_LEN 64
#define REFRESH_FAMILY_LEN 32

/* Access tokens of a session that are good at a time. Each is a row of the
   journal, and an entry in memory once the session has ended. */
#define REFRESH_ACCESS_MAX 1000

enum refresh_result {
	REFRESH_OK = 0,
	/* It is none, or not a good one. */
	REFRESH_INVALID,
	/* The journal can't be read or written: nothing is known or done. */
	REFRESH_FAILED,
	/* The session has too many access tokens that are good still: nothing
	   is done. */
	REFRESH_OFTEN
};

/* Makes one for the identity, 64 hexadecimal digits, that goes with the access
   token jti. The one whose place it takes is used up by that, or, if the
   journal fails, is as good as before. */
struct refresh_token {
	/* an earlier one of the same login and family, or NULL for a new
	   session */
	const char *old;
	/* REFRESH_FAMILY_LEN hexadecimal digits */
	const char *family;
	/* the access token, and until when that is good */
	const char *jti;
	int64_t access_expires;
	int64_t created;
	int64_t expires;
	/* where it goes to */
	const char *address;
	/* role and tenant are not the userdb's */
	bool granted;
};
enum refresh_result
refresh_token_add(const struct identity *identity,
		  const struct refresh_token *token, int64_t now,
		  char token_r[REFRESH_TOKEN_LEN + 1]);

/* What goes on with the login's token. */
struct refresh_session {
	char *family;
	int64_t expires;
	/* role and tenant, if they are not the userdb's */
	bool granted;
	enum role role;
	char *tenant;
};
enum refresh_result
refresh_token_find(const char *token, const char *login,
		   struct refresh_session *session_r);
void refresh_session_free(struct refresh_session *session);

/* Ends its family, as above. */
enum refresh_result
refresh_token_revoke(const char *token, const char *login, int64_t now);

/* Forgets those that have expired, and so have their access tokens: for theft
   they are no use any more. */
void refresh_tokens_purge(int64_t now);

#endif
