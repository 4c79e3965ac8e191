#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "auth-token.h"
#include "recall-limits.h"
#include "recall-tenant-name.h"
#include "util.h"

#define HMAC_SIZE 32
/* claims are short; deep JSON is an attack */
#define JWT_JSON_FLAGS (JSON_REJECT_DUPLICATES)

void identity_clear(struct identity *identity)
{
	free(identity->login);
	free(identity->tenant);
	memset(identity, 0, sizeof(*identity));
}

static bool is_rs256(const struct config *config)
{
	return strcmp(config->auth_jwt_algorithm, "RS256") == 0;
}

static bool hmac(const struct config *config, const char *data, size_t len,
		 unsigned char out[HMAC_SIZE])
{
	unsigned int size = HMAC_SIZE;

	return HMAC(EVP_sha256(), config->auth_jwt_key,
		    strlen(config->auth_jwt_key), (const unsigned char *)data,
		    len, out, &size) != NULL && size == HMAC_SIZE;
}

static bool verify_hs256(const struct config *config, const char *data,
			 size_t len, const unsigned char *sig, size_t sig_len)
{
	unsigned char expected[HMAC_SIZE];

	return *config->auth_jwt_key != '\0' && sig_len == HMAC_SIZE &&
	       hmac(config, data, len, expected) &&
	       CRYPTO_memcmp(expected, sig, HMAC_SIZE) == 0;
}

static bool verify_rs256(const struct config *config, const char *data,
			 size_t len, const unsigned char *sig, size_t sig_len)
{
	BIO *bio = BIO_new_mem_buf(config->jwt_public_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ret;

	ret = key != NULL && ctx != NULL &&
	      EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	      EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)data,
			       len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ret;
}

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

/* The algorithm is the settings'; a token that names another one was made for
   another verifier, or to fool this one. */
static bool check_header(const struct config *config, const char *data,
			 size_t len)
{
	json_t *header = decode_part(data, len);
	const char *alg, *typ;
	bool ret;

	alg = json_string_value(json_object_get(header, "alg"));
	typ = json_string_value(json_object_get(header, "typ"));
	ret = alg != NULL && strcmp(alg, config->auth_jwt_algorithm) == 0 &&
	      (typ == NULL || strcasecmp(typ, "JWT") == 0) &&
	      /* an extension that has to be understood and is not */
	      json_object_get(header, "crit") == NULL;
	json_decref(header);
	return ret;
}

/* Times may have fractions (RFC 7519, 2). */
static bool get_time(const json_t *claims, const char *name, int64_t def,
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

static bool get_identity(const json_t *claims, struct identity *identity_r)
{
	const char *sub = json_string_value(json_object_get(claims, "sub"));
	const json_t *tenant = json_object_get(claims, "tenant-id");
	const json_t *role = json_object_get(claims, "role");
	json_int_t num = json_integer_value(role);

	if (sub == NULL || *sub == '\0' || strlen(sub) > RECALL_ADDRESS_MAX ||
	    !json_is_integer(role) || num < ROLE_ADMIN || num > ROLE_SUPER ||
	    (tenant != NULL && !json_is_string(tenant)) || has_control(sub) ||
	    (tenant != NULL && has_control(json_string_value(tenant))))
		return false;
	identity_r->login = x_strdup(sub);
	identity_r->tenant = x_strdup(recall_tenant_name(
		json_string_value(tenant)));
	identity_r->role = (enum role)num;
	return true;
}

static enum token_result
check_claims(const struct config *config, const json_t *claims, int64_t now,
	     struct identity *identity_r, const char **why_r)
{
	int64_t exp, nbf, iat;

	/* a token that never ends cannot be taken back */
	if (!get_time(claims, "exp", -1, &exp) || exp < 0 ||
	    !get_time(claims, "nbf", 0, &nbf) ||
	    !get_time(claims, "iat", 0, &iat)) {
		*why_r = "has no valid exp, nbf or iat";
		return TOKEN_INVALID;
	}
	if (nbf > now + config->auth_clock_skew ||
	    iat > now + config->auth_clock_skew) {
		*why_r = "is not valid yet";
		return TOKEN_INVALID;
	}
	if (!get_identity(claims, identity_r)) {
		*why_r = "has no valid sub, role or tenant-id";
		return TOKEN_INVALID;
	}
	identity_r->expires = exp;
	if (exp <= now) {
		*why_r = "is expired";
		return TOKEN_EXPIRED;
	}
	return TOKEN_OK;
}

enum token_result
token_verify(const struct config *config, const char *token, int64_t now,
	     struct identity *identity_r, const char **why_r)
{
	const char *payload, *signature;
	enum token_result result;
	unsigned char *sig;
	size_t sig_len;
	json_t *claims;
	bool valid;

	memset(identity_r, 0, sizeof(*identity_r));
	*why_r = "is not a JSON Web Token";
	if (strlen(token) > TOKEN_MAX)
		return TOKEN_INVALID;
	payload = strchr(token, '.');
	signature = payload == NULL ? NULL : strchr(++payload, '.');
	if (signature == NULL || strchr(++signature, '.') != NULL)
		return TOKEN_INVALID;
	if (!check_header(config, token, payload - 1 - token)) {
		*why_r = "is not of the algorithm asked for";
		return TOKEN_INVALID;
	}
	sig = base64url_decode(signature, strlen(signature), &sig_len);
	if (sig == NULL)
		return TOKEN_INVALID;
	valid = is_rs256(config) ?
		verify_rs256(config, token, signature - 1 - token, sig,
			     sig_len) :
		verify_hs256(config, token, signature - 1 - token, sig,
			     sig_len);
	free(sig);
	if (!valid) {
		*why_r = "has a wrong signature";
		return TOKEN_INVALID;
	}
	claims = decode_part(payload, signature - 1 - payload);
	if (claims == NULL)
		return TOKEN_INVALID;
	result = check_claims(config, claims, now, identity_r, why_r);
	json_decref(claims);
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
	    !hmac(config, data, strlen(data), mac))
		return NULL;
	return base64url_encode(mac, sizeof(mac));
}

char *token_issue(const struct config *config, const struct identity *identity,
		  int64_t now)
{
	char jti[33];
	char *header, *claims, *text, *data, *sig, *token = NULL;
	json_t *json;

	random_hex(16, jti);
	json = json_pack("{s:s, s:s, s:i, s:I, s:I, s:s}",
			 "sub", identity->login, "tenant-id", identity->tenant,
			 "role", (int)identity->role, "iat", (json_int_t)now,
			 "exp", (json_int_t)(now +
				config->auth_access_token_exp_time),
			 "jti", jti);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return NULL;
	claims = base64url_encode(text, strlen(text));
	free(text);
	text = x_asprintf("{\"alg\":\"%s\",\"typ\":\"JWT\"}",
			  config->auth_jwt_algorithm);
	header = base64url_encode(text, strlen(text));
	free(text);
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
