#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/ecdsa.h>

#include "encode.h"
#include "jwt.h"

/* claims are short; deep JSON is an attack */
#define JWT_JSON_FLAGS (JSON_REJECT_DUPLICATES)
/* r and s of P-256 */
#define ES256_HALF 32

static json_t *decode_part(const char *data, size_t len)
{
	size_t size;
	unsigned char *text = base64url_decode(data, len, &size);
	json_t *json;

	if (text == NULL)
		return NULL;
	json = json_loadb((char *)text, size, JWT_JSON_FLAGS, NULL);
	free(text);
	if (!json_is_object(json)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

bool jwt_parse(const char *token, struct jwt *jwt_r)
{
	const char *payload, *signature;

	memset(jwt_r, 0, sizeof(*jwt_r));
	if (strlen(token) > JWT_MAX)
		return false;
	payload = strchr(token, '.');
	signature = payload == NULL ? NULL : strchr(++payload, '.');
	if (signature == NULL || strchr(++signature, '.') != NULL)
		return false;
	jwt_r->data = token;
	jwt_r->data_len = signature - 1 - token;
	jwt_r->header = decode_part(token, payload - 1 - token);
	jwt_r->sig = base64url_decode(signature, strlen(signature),
				      &jwt_r->sig_len);
	return jwt_r->header != NULL && jwt_r->sig != NULL;
}

void jwt_free(struct jwt *jwt)
{
	json_decref(jwt->header);
	free(jwt->sig);
	memset(jwt, 0, sizeof(*jwt));
}

const char *jwt_algorithm(const struct jwt *jwt)
{
	const char *typ = json_string_value(json_object_get(jwt->header,
							    "typ"));
	const json_t *kid = json_object_get(jwt->header, "kid");

	if ((typ != NULL && strcasecmp(typ, "JWT") != 0) ||
	    json_object_get(jwt->header, "crit") != NULL ||
	    (kid != NULL && !json_is_string(kid)))
		return NULL;
	return json_string_value(json_object_get(jwt->header, "alg"));
}

const char *jwt_key_id(const struct jwt *jwt)
{
	return json_string_value(json_object_get(jwt->header, "kid"));
}

/* r and s one after the other (RFC 7518, 3.4), as ASN.1 has them. Returns its
   length, or 0. The caller frees der_r by OPENSSL_free(). */
static size_t es256_to_der(const unsigned char *sig, size_t len,
			   unsigned char **der_r)
{
	ECDSA_SIG *ecdsa;
	BIGNUM *r, *s;
	int ret = 0;

	*der_r = NULL;
	if (len != 2 * ES256_HALF)
		return 0;
	ecdsa = ECDSA_SIG_new();
	r = BN_bin2bn(sig, ES256_HALF, NULL);
	s = BN_bin2bn(sig + ES256_HALF, ES256_HALF, NULL);
	if (ecdsa != NULL && r != NULL && s != NULL &&
	    ECDSA_SIG_set0(ecdsa, r, s) == 1) {
		ret = i2d_ECDSA_SIG(ecdsa, der_r);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(ecdsa);
	return ret > 0 ? (size_t)ret : 0;
}

static bool verify_digest(EVP_PKEY *key, const unsigned char *sig,
			  size_t sig_len, const char *data, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ret;

	ret = ctx != NULL &&
	      EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	      EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)data,
			       len) == 1;
	EVP_MD_CTX_free(ctx);
	return ret;
}

bool jwt_verify(const struct jwt *jwt, EVP_PKEY *key)
{
	unsigned char *der;
	size_t der_len;
	bool ret;

	if (EVP_PKEY_is_a(key, "RSA"))
		return verify_digest(key, jwt->sig, jwt->sig_len, jwt->data,
				     jwt->data_len);
	if (!EVP_PKEY_is_a(key, "EC"))
		return false;
	der_len = es256_to_der(jwt->sig, jwt->sig_len, &der);
	ret = der_len > 0 && verify_digest(key, der, der_len, jwt->data,
					   jwt->data_len);
	OPENSSL_free(der);
	return ret;
}

json_t *jwt_claims(const struct jwt *jwt)
{
	const char *dot = memchr(jwt->data, '.', jwt->data_len);

	return decode_part(dot + 1, jwt->data + jwt->data_len - dot - 1);
}

bool jwt_is_for(const json_t *audience, const char *name)
{
	const json_t *item;
	const char *text;
	size_t i;

	if (json_is_string(audience))
		return strcmp(json_string_value(audience), name) == 0;
	json_array_foreach(audience, i, item) {
		text = json_string_value(item);
		if (text != NULL && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

bool jwt_get_time(const json_t *claims, const char *name, int64_t def,
		  int64_t *time_r)
{
	const json_t *value = json_object_get(claims, name);
	double d;

	*time_r = def;
	if (value == NULL)
		return true;
	if (!json_is_number(value))
		return false;
	d = json_number_value(value);
	if (!(d >= 0 && d < 1e15))
		return false;
	*time_r = (int64_t)d;
	return true;
}
