#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "recall-limits.h"
#include "recall-tenant-name.h"
#include "recall-text.h"
#include "alloc.h"
#include "auth-token.h"
#include "encode.h"
#include "json-text.h"
#include "jwt.h"

#define HMAC_SIZE 32
/* The time until which tokens were revoked when this one was issued, where that
   is not before: in the same second, or by a clock that was ahead. A later
   "iat" would make it one that is not valid yet. */
#define REVOKED_CLAIM "revoked-until"

static bool is_rs256(const struct config *config)
{
	return strcmp(config->auth_jwt_algorithm, "RS256") == 0;
}

static bool hmac(const char *key, const char *data, size_t len,
		 unsigned char out[HMAC_SIZE])
{
	unsigned int size = HMAC_SIZE;

	return HMAC(EVP_sha256(), key, strlen(key),
		    (const unsigned char *)data, len, out, &size) != NULL &&
	       size == HMAC_SIZE;
}

static bool verify_hs256(const char *key, const struct jwt *jwt)
{
	unsigned char expected[HMAC_SIZE];

	return jwt->sig_len == HMAC_SIZE &&
	       hmac(key, jwt->data, jwt->data_len, expected) &&
	       CRYPTO_memcmp(expected, jwt->sig, HMAC_SIZE) == 0;
}

static bool verify_rs256(const char *pem, const struct jwt *jwt)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	bool ret;

	ret = key != NULL && EVP_PKEY_is_a(key, "RSA") && jwt_verify(jwt, key);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ret;
}

/* Whether the token may be of the key: ids are "" where there is none, and two
   names are two keys. */
static bool may_be(const char *kid, const char *id, const char *other_id)
{
	if (kid == NULL)
		return true;
	return *id != '\0' ? strcmp(kid, id) == 0 :
		*other_id == '\0' || strcmp(kid, other_id) != 0;
}

static bool verify_key(const struct config *config, const char *key,
		       const struct jwt *jwt)
{
	if (key == NULL || *key == '\0')
		return false;
	return is_rs256(config) ? verify_rs256(key, jwt) :
		verify_hs256(key, jwt);
}

/* While the key changes, tokens of the old one are good until they expire. */
static bool verify(const struct config *config, const struct jwt *jwt)
{
	const char *id = config->auth_jwt_key_id;
	const char *old_id = config->auth_jwt_old_key_id;
	const char *kid = jwt_key_id(jwt);
	bool rs256 = is_rs256(config);

	return (may_be(kid, id, old_id) &&
		verify_key(config, rs256 ? config->jwt_public_pem :
			   config->auth_jwt_key, jwt)) ||
	       (may_be(kid, old_id, id) &&
		verify_key(config, rs256 ? config->jwt_old_public_pem :
			   config->auth_jwt_old_key, jwt));
}

/* Returns why the token is not for this service, or NULL. */
static const char *
check_parties(const struct config *config, const json_t *claims)
{
	const char *issuer = json_string_value(json_object_get(claims, "iss"));

	if (*config->auth_jwt_issuer != '\0' &&
	    (issuer == NULL || strcmp(issuer, config->auth_jwt_issuer) != 0))
		return "is not of the issuer asked for (iss)";
	if (*config->auth_jwt_audience != '\0' &&
	    !jwt_is_for(json_object_get(claims, "aud"),
			config->auth_jwt_audience))
		return "is not for this service (aud)";
	return NULL;
}

static bool get_identity(const json_t *claims, struct identity *identity_r)
{
	const char *sub = json_string_value(json_object_get(claims, "sub"));
	const json_t *tenant = json_object_get(claims, "tenant-id");
	const json_t *role = json_object_get(claims, "role");
	const json_t *jti = json_object_get(claims, "jti");
	/* others' may have one that means something else */
	const char *sid = json_string_value(json_object_get(claims, "sid"));
	const char *name = recall_tenant_name(json_string_value(tenant));
	json_int_t num = json_integer_value(role);

	if (sub == NULL || *sub == '\0' || strlen(sub) > RECALL_ADDRESS_MAX ||
	    !json_is_integer(role) || num < ROLE_ADMIN || num > ROLE_SUPER ||
	    (tenant != NULL && !json_is_string(tenant)) ||
	    recall_text_has_control(sub) || recall_text_has_control(name) ||
	    (jti != NULL && !json_is_string(jti)))
		return false;
	if (jti != NULL)
		identity_r->jti = x_strdup(json_string_value(jti));
	if (sid != NULL)
		identity_r->session = x_strdup(sid);
	identity_r->login = x_strdup(sub);
	identity_r->tenant = x_strdup(name);
	identity_r->role = (enum role)num;
	return true;
}

static enum token_result
check_claims(const struct config *config, const json_t *claims, int64_t now,
	     struct identity *identity_r, const char **why_r)
{
	int64_t exp, nbf, iat, revoked;

	*why_r = check_parties(config, claims);
	if (*why_r != NULL)
		return TOKEN_INVALID;
	/* a token that never ends cannot be taken back */
	if (!jwt_get_time(claims, "exp", -1, &exp) || exp < 0 ||
	    !jwt_get_time(claims, "nbf", 0, &nbf) ||
	    !jwt_get_time(claims, "iat", -1, &iat)) {
		*why_r = "has no valid exp, nbf or iat";
		return TOKEN_INVALID;
	}
	if (nbf > now + config->auth_clock_skew ||
	    iat > now + config->auth_clock_skew) {
		*why_r = "is not valid yet";
		return TOKEN_INVALID;
	}
	if (!get_identity(claims, identity_r)) {
		*why_r = "has no valid sub, role, tenant-id or jti";
		return TOKEN_INVALID;
	}
	identity_r->expires = exp;
	identity_r->issued = iat;
	if (jwt_get_time(claims, REVOKED_CLAIM, -1, &revoked) && iat >= 0 &&
	    revoked >= iat)
		identity_r->issued = revoked + 1;
	if (exp <= now) {
		*why_r = "is expired";
		return TOKEN_EXPIRED;
	}
	return TOKEN_OK;
}

static enum token_result
check_token(const struct config *config, const struct jwt *jwt, int64_t now,
	    struct identity *identity_r, const char **why_r)
{
	const char *algorithm = jwt_algorithm(jwt);
	enum token_result result;
	json_t *claims;

	/* one that names another algorithm was made for another verifier, or to
	   fool this one */
	if (algorithm == NULL ||
	    strcmp(algorithm, config->auth_jwt_algorithm) != 0) {
		*why_r = "is not of the algorithm asked for";
		return TOKEN_INVALID;
	}
	if (!verify(config, jwt)) {
		*why_r = "has a wrong signature";
		return TOKEN_INVALID;
	}
	claims = jwt_claims(jwt);
	if (claims == NULL)
		return TOKEN_INVALID;
	result = check_claims(config, claims, now, identity_r, why_r);
	json_decref(claims);
	return result;
}

enum token_result
token_verify(const struct config *config, const char *token, int64_t now,
	     struct identity *identity_r, const char **why_r)
{
	enum token_result result = TOKEN_INVALID;
	struct jwt jwt;

	memset(identity_r, 0, sizeof(*identity_r));
	*why_r = "is not a JSON Web Token";
	if (jwt_parse(token, &jwt))
		result = check_token(config, &jwt, now, identity_r, why_r);
	jwt_free(&jwt);
	return result;
}

static char *sign_rs256(const struct config *config, const char *data)
{
	BIO *bio = BIO_new_mem_buf(config->jwt_private_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *sig = NULL;
	char *ret = NULL;
	size_t len = 0;

	if (key != NULL && ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1) {
		len = EVP_PKEY_size(key);
		sig = x_calloc(1, len);
		if (EVP_DigestSign(ctx, sig, &len, (const unsigned char *)data,
				   strlen(data)) == 1)
			ret = base64url_encode(sig, len);
		free(sig);
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ret;
}

static char *sign(const struct config *config, const char *data)
{
	unsigned char mac[HMAC_SIZE];

	if (is_rs256(config))
		return config->jwt_private_pem == NULL ? NULL :
		       sign_rs256(config, data);
	if (*config->auth_jwt_key == '\0' ||
	    !hmac(config->auth_jwt_key, data, strlen(data), mac))
		return NULL;
	return base64url_encode(mac, sizeof(mac));
}

/* Frees the reference. */
static char *encode_part(json_t *json)
{
	char *text = json_to_text(json, JSON_COMPACT), *part = NULL;

	json_decref(json);
	if (text != NULL)
		part = base64url_encode(text, strlen(text));
	free(text);
	return part;
}

static void set_text(json_t *json, const char *name, const char *value)
{
	if (*value != '\0')
		json_object_set_new(json, name, json_string(value));
}

char *token_issue(const struct config *config, const struct identity *identity,
		  const char *session, int64_t now, int64_t revoked,
		  char jti_r[TOKEN_ID_LEN + 1])
{
	char *header, *claims, *data, *sig, *token = NULL;
	json_t *json;

	random_hex(TOKEN_ID_LEN / 2, jti_r);
	json = json_pack("{s:s, s:s, s:i, s:I, s:I, s:s, s:s}",
			 "sub", identity->login, "tenant-id", identity->tenant,
			 "role", (int)identity->role, "iat", (json_int_t)now,
			 "exp", (json_int_t)(now +
				config->auth_access_token_exp_time),
			 "jti", jti_r, "sid", session);
	if (revoked >= now)
		json_object_set_new(json, REVOKED_CLAIM, json_integer(revoked));
	set_text(json, "iss", config->auth_jwt_issuer);
	set_text(json, "aud", config->auth_jwt_audience);
	claims = encode_part(json);
	if (claims == NULL)
		return NULL;
	json = json_pack("{s:s, s:s}", "alg", config->auth_jwt_algorithm,
			 "typ", "JWT");
	set_text(json, "kid", config->auth_jwt_key_id);
	header = encode_part(json);
	data = x_asprintf("%s.%s", header, claims);
	sig = sign(config, data);
	if (sig != NULL)
		token = x_asprintf("%s.%s", data, sig);
	free(sig);
	free(data);
	free(header);
	free(claims);
	return token;
}
