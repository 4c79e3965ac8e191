#ifndef JWT_H
#define JWT_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

/* JSON Web Tokens (RFC 7519) in their compact form (RFC 7515, 7.1): what those
   that we sign and those of an OpenID provider have in common. */

/* No token is longer. */
#define JWT_MAX 8192

struct jwt {
	json_t *header;
	/* what is signed, in the token's text */
	const char *data;
	size_t data_len;
	unsigned char *sig;
	size_t sig_len;
};

/* Takes the token apart, whose text has to stay. Returns false if it is none.
   jwt_free() is called in any case. */
bool jwt_parse(const char *token, struct jwt *jwt_r);
void jwt_free(struct jwt *jwt);

/* Returns the algorithm that it names, if it is a plain JSON Web Token: other
   types, and extensions that have to be understood, are not. NULL otherwise. */
const char *jwt_algorithm(const struct jwt *jwt);
/* Returns the name of its key, or NULL if it has none. */
const char *jwt_key_id(const struct jwt *jwt);

/* Whether the key signed it: RS256 for an RSA key, ES256 for one of P-256,
   whatever algorithm the token names. */
bool jwt_verify(const struct jwt *jwt, EVP_PKEY *key);

/* Returns what it claims, or NULL if that is no JSON object; to be asked for
   only of a token whose signature is right. */
json_t *jwt_claims(const struct jwt *jwt);

/* Whether the claim "aud" names one: it is a string, or a list of several
   (RFC 7519, 4.1.3). */
bool jwt_is_for(const json_t *audience, const char *name);
/* Reads a time, which may have fractions (RFC 7519, 2). Returns false if it is
   none; def is what it is where it is missing. */
bool jwt_get_time(const json_t *claims, const char *name, int64_t def,
		  int64_t *time_r);

#endif
