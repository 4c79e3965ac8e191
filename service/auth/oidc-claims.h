#ifndef OIDC_CLAIMS_H
#define OIDC_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "identity.h"

/* Whether what is of this name is the issuer that the settings have. */
bool oidc_is_issuer(const struct config *config, const json_t *json,
		    const char *name);

/* What a token of the provider's claims, whose signature is right: whether it
   is for us, for this sign-in and for now (OpenID Connect Core 1.0, 3.1.3.7),
   and who it is, by the claims that the settings name. Returns what is wrong,
   e.g. "is expired", or NULL. Only then identity_r is set. */
const char *
oidc_claims_read(const struct config *config, const json_t *claims,
		 const char *nonce, int64_t now, struct identity *identity_r);

#endif
