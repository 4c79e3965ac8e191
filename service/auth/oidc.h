#ifndef OIDC_H
#define OIDC_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "identity.h"

/* Sign-in by an OpenID provider: the authorization code flow (OpenID Connect
   Core 1.0, 3.1) with PKCE (RFC 7636). What the provider has published of
   itself (Discovery 1.0) and its keys are kept for a while. */

/* What a sign-in is known by when the browser comes back: hexadecimal. */
#define OIDC_SECRET_LEN 64
struct oidc_flow {
	char state[OIDC_SECRET_LEN + 1];
	char nonce[OIDC_SECRET_LEN + 1];
	char verifier[OIDC_SECRET_LEN + 1];
};

enum oidc_result {
	OIDC_OK = 0,
	/* It is nobody who may sign in here, or no token of the provider's. */
	OIDC_DENIED,
	/* The provider does not answer as it should. */
	OIDC_FAILED
};

/* Begins a sign-in. Returns the address that the browser is sent to, which the
   caller frees; NULL with the reason in error_r (the caller frees it) if the
   provider does not say. */
char *oidc_begin(const struct config *config, struct oidc_flow *flow_r,
		 char **error_r);

/* Changes the code, that the browser came back with, for who it is. Role and
   tenant are in identity_r where oidc.role_claim is set; otherwise the role is
   ROLE_NONE, and the userdb has it. The caller clears identity_r in any case;
   error_r as above. */
enum oidc_result
oidc_finish(const struct config *config, const struct oidc_flow *flow,
	    const char *code, int64_t now, struct identity *identity_r,
	    char **error_r);

#endif
