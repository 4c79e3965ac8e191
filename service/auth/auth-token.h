#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "identity.h"

enum token_result {
	TOKEN_OK = 0,
	/* valid once, but not any more; identity_r is set */
	TOKEN_EXPIRED,
	TOKEN_INVALID
};

#define TOKEN_ID_LEN 32

/* Verifies a JSON Web Token (RFC 7519) with the algorithm and keys of the
   settings, whatever algorithm the token names. why_r is for the log. The
   caller clears identity_r. */
enum token_result
token_verify(const struct config *config, const char *token, int64_t now,
	     struct identity *identity_r, const char **why_r);

/* An access token for the identity, good for auth.access_token_exp_time
   seconds from now on, as one of the session; jti_r is its name. Tokens that
   were issued until `revoked` are revoked, this one is not, though that may be
   still to come. NULL if the settings have no key to sign with. */
char *token_issue(const struct config *config, const struct identity *identity,
		  const char *session, int64_t now, int64_t revoked,
		  char jti_r[TOKEN_ID_LEN + 1]);

#endif
