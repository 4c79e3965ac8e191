#ifndef OIDC_KEYS_H
#define OIDC_KEYS_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>

/* Returns the key of a JSON Web Key Set (RFC 7517) that has the name and goes
   with the algorithm, RS256 or ES256, or NULL. Without a name (NULL) the only
   one that goes with it. */
EVP_PKEY *oidc_keys_find(const json_t *set, const char *key_id,
			 const char *algorithm);

#endif
