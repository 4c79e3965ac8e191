#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "encode.h"
#include "oidc-keys.h"

/* shorter ones can be factored (RFC 7518, 3.3) */
#define RSA_MIN_BITS 2048
#define P256_COORDINATE 32

static bool has(const json_t *key, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(key, name));

	return text != NULL && strcmp(text, value) == 0;
}

/* Returns the octets of a member; the caller frees them. */
static unsigned char *get_octets(const json_t *key, const char *name,
				 size_t *len_r)
{
	const char *text = json_string_value(json_object_get(key, name));

	return text == NULL ? NULL :
		base64url_decode(text, strlen(text), len_r);
}

static EVP_PKEY *make(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || ctx == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *make_rsa(const json_t *jwk)
{
	size_t n_len = 0, e_len = 0;
	unsigned char *n = get_octets(jwk, "n", &n_len);
	unsigned char *e = get_octets(jwk, "e", &e_len);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n_num = NULL, *e_num = NULL;
	EVP_PKEY *key = NULL;

	if (n != NULL && e != NULL && build != NULL) {
		n_num = BN_bin2bn(n, n_len, NULL);
		e_num = BN_bin2bn(e, e_len, NULL);
		if (n_num != NULL && e_num != NULL &&
		    BN_num_bits(n_num) >= RSA_MIN_BITS &&
		    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N,
					   n_num) == 1 &&
		    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E,
					   e_num) == 1)
			key = make("RSA", build);
	}
	OSSL_PARAM_BLD_free(build);
	BN_free(n_num);
	BN_free(e_num);
	free(n);
	free(e);
	return key;
}

static EVP_PKEY *make_p256(const json_t *jwk)
{
	size_t x_len = 0, y_len = 0;
	unsigned char *x = get_octets(jwk, "x", &x_len);
	unsigned char *y = get_octets(jwk, "y", &y_len);
	/* not compressed */
	unsigned char point[1 + 2 * P256_COORDINATE] = { 4 };
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (x_len == P256_COORDINATE && y_len == P256_COORDINATE &&
	    build != NULL && has(jwk, "crv", "P-256")) {
		memcpy(point + 1, x, x_len);
		memcpy(point + 1 + x_len, y, y_len);
		if (OSSL_PARAM_BLD_push_utf8_string(build,
				OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1",
				0) == 1 &&
		    OSSL_PARAM_BLD_push_octet_string(build,
				OSSL_PKEY_PARAM_PUB_KEY, point,
				sizeof(point)) == 1)
			key = make("EC", build);
	}
	OSSL_PARAM_BLD_free(build);
	free(x);
	free(y);
	return key;
}

/* One that is there to encrypt, or for another algorithm, signs nothing. */
static bool is_for(const json_t *jwk, const char *key_id,
		   const char *algorithm)
{
	bool rsa = strcmp(algorithm, "RS256") == 0;

	return has(jwk, "kty", rsa ? "RSA" : "EC") &&
	       (json_object_get(jwk, "use") == NULL ||
		has(jwk, "use", "sig")) &&
	       (json_object_get(jwk, "alg") == NULL ||
		has(jwk, "alg", algorithm)) &&
	       (key_id == NULL || has(jwk, "kid", key_id));
}

EVP_PKEY *oidc_keys_find(const json_t *set, const char *key_id,
			 const char *algorithm)
{
	const json_t *jwk, *found = NULL;
	bool rsa = strcmp(algorithm, "RS256") == 0;
	size_t i;

	if (!rsa && strcmp(algorithm, "ES256") != 0)
		return NULL;
	json_array_foreach(json_object_get(set, "keys"), i, jwk) {
		if (!is_for(jwk, key_id, algorithm))
			continue;
		/* whose token is it? */
		if (found != NULL)
			return NULL;
		found = jwk;
	}
	if (found == NULL)
		return NULL;
	return rsa ? make_rsa(found) : make_p256(found);
}
