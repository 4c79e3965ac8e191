/* What an OpenID provider answers. The first octet says what it is: a set of
   keys, the claims of a token that is signed, or a token. */
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "address.h"
#include "encode.h"
#include "jwt.h"
#include "oidc-claims.h"
#include "oidc-keys.h"

#include "fuzz.h"
#include "fuzz-oidc-keys.h"

#define ISSUER "https://id.example.com"
#define CLIENT "recall"
#define NOW 1700000000
#define NONCE "0123456789abcdef0123456789abcdef"

static struct config *config;
static EVP_PKEY *good_ec;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *error = NULL;
	struct jwt jwt;
	json_t *keys;

	(void)argc;
	(void)argv;
	config = config_new();
	require(config_set(config, "oidc.issuer", ISSUER, &error));
	require(config_set(config, "oidc.client_id", CLIENT, &error));
	require(config_set(config, "oidc.login_claim", "email", &error));
	require(config_set(config, "oidc.role_claim", "groups", &error));
	require(config_set(config, "oidc.role_super", "root", &error));
	require(config_set(config, "oidc.role_admin", "admin desk", &error));
	require(config_set(config, "oidc.tenant_claim", "tenant", &error));
	keys = json_loads(FUZZ_OIDC_KEYS, 0, NULL);
	good_ec = oidc_keys_find(keys, "ec", "ES256");
	json_decref(keys);
	require(good_ec != NULL);
	require(jwt_parse(FUZZ_OIDC_TOKEN, &jwt));
	require(jwt_verify(&jwt, good_ec));
	jwt_free(&jwt);
	return 0;
}

/* A token is of the provider's only if the key is. */
static void check_key(const json_t *set, const char *algorithm)
{
	EVP_PKEY *key = oidc_keys_find(set, NULL, algorithm);
	struct jwt jwt;

	if (key == NULL)
		return;
	if (strcmp(algorithm, "RS256") == 0) {
		require(EVP_PKEY_is_a(key, "RSA"));
		require(EVP_PKEY_get_bits(key) >= 2048);
	} else {
		require(EVP_PKEY_is_a(key, "EC"));
		require(EVP_PKEY_get_bits(key) == 256);
	}
	require(jwt_parse(FUZZ_OIDC_TOKEN, &jwt));
	require(jwt_verify(&jwt, key) == (EVP_PKEY_eq(key, good_ec) == 1));
	jwt_free(&jwt);
	EVP_PKEY_free(key);
}

static void check_keys(const char *data, size_t size)
{
	json_t *set = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);

	check_key(set, "RS256");
	check_key(set, "ES256");
	require(oidc_keys_find(set, NULL, "none") == NULL);
	require(oidc_keys_find(set, NULL, "HS256") == NULL);
	json_decref(set);
}

static const char *text_of(const json_t *claims, const char *name)
{
	const char *text = json_string_value(json_object_get(claims, name));

	return text == NULL ? "" : text;
}

static void check_claims(const char *data, size_t size)
{
	struct identity who;
	json_t *claims = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);

	memset(&who, 0, sizeof(who));
	if (json_is_object(claims) &&
	    oidc_claims_read(config, claims, NONCE, NOW, &who) == NULL) {
		require(strcmp(text_of(claims, "iss"), ISSUER) == 0);
		require(strcmp(text_of(claims, "nonce"), NONCE) == 0);
		require(jwt_is_for(json_object_get(claims, "aud"), CLIENT));
		require(json_number_value(json_object_get(claims, "exp")) >
			NOW - config->auth_clock_skew - 1);
		require(json_is_true(json_object_get(claims,
						     "email_verified")));
		require(strcmp(text_of(claims, "email"), who.login) == 0);
		require(address_check(who.login) == NULL);
		require(strcmp(text_of(claims, "tenant"), who.tenant) == 0);
		require(*who.tenant != '\0');
		require(who.role >= ROLE_ADMIN && who.role <= ROLE_SUPER);
	} else {
		require(who.login == NULL && who.tenant == NULL);
	}
	identity_clear(&who);
	json_decref(claims);
}

static void check_token(const char *data, size_t size)
{
	char *token = malloc(size + 1);
	struct jwt jwt;

	require(token != NULL);
	memcpy(token, data, size);
	token[size] = '\0';
	if (jwt_parse(token, &jwt) && jwt_algorithm(&jwt) != NULL) {
		json_decref(jwt_claims(&jwt));
		if (jwt_verify(&jwt, good_ec))
			require(strncmp(token, FUZZ_OIDC_TOKEN,
					jwt.data_len + 1) == 0);
	}
	jwt_free(&jwt);
	free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'k':
		check_keys((const char *)data + 1, size - 1);
		break;
	case 'c':
		check_claims((const char *)data + 1, size - 1);
		break;
	default:
		check_token((const char *)data + 1, size - 1);
		break;
	}
	return 0;
}
