#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "alloc.h"
#include "curl-ca.h"
#include "curl-json.h"
#include "encode.h"
#include "jwt.h"
#include "oidc-claims.h"
#include "oidc-keys.h"
#include "oidc.h"
#include "strbuf.h"

/* What is known of the provider is asked for anew after so many seconds; its
   keys, also when none of them is right. */
#define KEEP 3600

/* Answers of the provider, by their address. */
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cached {
	char *url;
	json_t *json;
	time_t asked;
} cached[2];

/* Returns what the address answers, which is JSON. form is sent, if there is
   one. */
static json_t *ask(const struct config *config, const char *url,
		   const char *form, char **error_r)
{
	CURL *curl = curl_easy_init();
	json_t *json;

	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)config->oidc_timeout);
	curl_set_ca(curl, config->oidc_ca_file);
	/* nothing of the environment counts */
	curl_easy_setopt(curl, CURLOPT_PROXY, config->oidc_proxy);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
	if (form != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
	json = curl_json_get(curl, url, JSON_REJECT_DUPLICATES, error_r);
	curl_easy_cleanup(curl);
	return json;
}

/* Returns what the address has answered in the last `keep` seconds, with a
   reference for the caller. The lock is not held while it is asked. */
static json_t *ask_cached(const struct config *config, struct cached *cached,
			  const char *url, time_t keep, char **error_r)
{
	time_t now = time(NULL);
	json_t *json = NULL;

	pthread_mutex_lock(&cache_mutex);
	if (cached->url != NULL && strcmp(cached->url, url) == 0 &&
	    now >= cached->asked && now - cached->asked < keep)
		json = json_incref(cached->json);
	pthread_mutex_unlock(&cache_mutex);
	if (json != NULL)
		return json;
	json = ask(config, url, NULL, error_r);
	if (json == NULL)
		return NULL;
	pthread_mutex_lock(&cache_mutex);
	free(cached->url);
	json_decref(cached->json);
	cached->url = x_strdup(url);
	cached->json = json_incref(json);
	cached->asked = now;
	pthread_mutex_unlock(&cache_mutex);
	return json;
}

/* What is wrong may be mended by the next time. */
static void forget_provider(void)
{
	pthread_mutex_lock(&cache_mutex);
	cached[0].asked = 0;
	pthread_mutex_unlock(&cache_mutex);
}

/* Returns what the provider says of itself (Discovery 1.0, 4). */
static json_t *discover(const struct config *config, char **error_r)
{
	size_t len = strlen(config->oidc_issuer);
	json_t *json;
	char *url;

	while (len > 0 && config->oidc_issuer[len - 1] == '/')
		len--;
	url = x_asprintf("%.*s/.well-known/openid-configuration", (int)len,
			 config->oidc_issuer);
	json = ask_cached(config, &cached[0], url, KEEP, error_r);
	if (json != NULL && !oidc_is_issuer(config, json, "issuer")) {
		*error_r = x_asprintf("%s: is of another issuer", url);
		forget_provider();
		json_decref(json);
		json = NULL;
	}
	free(url);
	return json;
}

/* Returns an address out of that. Secrets go there: no plain HTTP where the
   issuer has TLS. */
static const char *endpoint(const struct config *config, const json_t *provider,
			    const char *name, char **error_r)
{
	const char *url = json_string_value(json_object_get(provider, name));
	bool tls = strncmp(config->oidc_issuer, "https://", 8) == 0;

	if (url != NULL && (strncmp(url, "https://", 8) == 0 ||
			    (!tls && strncmp(url, "http://", 7) == 0)))
		return url;
	*error_r = x_asprintf("%s: has no %s", config->oidc_issuer, name);
	forget_provider();
	return NULL;
}

static void add_param(struct strbuf *b, const char *name, const char *value)
{
	char *encoded = curl_easy_escape(NULL, value, strlen(value));

	strbuf_addf(b, "%s%s=%s", b->len == 0 ? "" : "&", name, encoded);
	curl_free(encoded);
}

/* RFC 7636, 4.2 */
static char *challenge(const char *verifier)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (EVP_Digest(verifier, strlen(verifier), md, &len, EVP_sha256(),
		       NULL) != 1)
		abort();
	return base64url_encode(md, len);
}

char *oidc_begin(const struct config *config, struct oidc_flow *flow_r,
		 char **error_r)
{
	json_t *provider = discover(config, error_r);
	const char *url = provider == NULL ? NULL :
		endpoint(config, provider, "authorization_endpoint", error_r);
	struct strbuf b = { NULL, 0, 0 };
	char *hash, *ret;

	if (url == NULL) {
		json_decref(provider);
		return NULL;
	}
	random_hex(OIDC_SECRET_LEN / 2, flow_r->state);
	random_hex(OIDC_SECRET_LEN / 2, flow_r->nonce);
	random_hex(OIDC_SECRET_LEN / 2, flow_r->verifier);
	hash = challenge(flow_r->verifier);
	add_param(&b, "response_type", "code");
	add_param(&b, "client_id", config->oidc_client_id);
	add_param(&b, "redirect_uri", config->oidc_redirect_url);
	add_param(&b, "scope", config->oidc_scope);
	add_param(&b, "state", flow_r->state);
	add_param(&b, "nonce", flow_r->nonce);
	add_param(&b, "code_challenge", hash);
	add_param(&b, "code_challenge_method", "S256");
	ret = x_asprintf("%s%c%s", url, strchr(url, '?') == NULL ? '?' : '&',
			 b.data);
	free(b.data);
	free(hash);
	json_decref(provider);
	return ret;
}

/* Returns the token that says who it is; the caller frees it. */
static char *exchange(const struct config *config, const json_t *provider,
		      const struct oidc_flow *flow, const char *code,
		      char **error_r)
{
	const char *url = endpoint(config, provider, "token_endpoint", error_r);
	struct strbuf b = { NULL, 0, 0 };
	const char *token;
	char *ret = NULL;
	json_t *answer;

	if (url == NULL)
		return NULL;
	add_param(&b, "grant_type", "authorization_code");
	add_param(&b, "code", code);
	add_param(&b, "redirect_uri", config->oidc_redirect_url);
	add_param(&b, "client_id", config->oidc_client_id);
	add_param(&b, "code_verifier", flow->verifier);
	if (*config->oidc_client_secret != '\0')
		add_param(&b, "client_secret", config->oidc_client_secret);
	answer = ask(config, url, b.data, error_r);
	free_secret(b.data);
	token = json_string_value(json_object_get(answer, "id_token"));
	if (token != NULL)
		ret = x_strdup(token);
	else if (answer != NULL)
		*error_r = x_asprintf("%s: gave no id_token", url);
	json_decref(answer);
	return ret;
}

static bool is_signed(const struct jwt *jwt, const json_t *keys)
{
	const char *algorithm = jwt_algorithm(jwt);
	EVP_PKEY *key = algorithm == NULL ? NULL :
		oidc_keys_find(keys, jwt_key_id(jwt), algorithm);
	bool ret = key != NULL && jwt_verify(jwt, key);

	EVP_PKEY_free(key);
	return ret;
}

/* The key may be a new one: if none is right, the keys are asked for once
   more. */
static enum oidc_result
check_signature(const struct config *config, const struct jwt *jwt,
		const char *keys_url, char **error_r)
{
	static const time_t keep[] = { KEEP, 0 };
	json_t *keys;
	bool ok = false;
	size_t i;

	for (i = 0; i < 2 && !ok; i++) {
		keys = ask_cached(config, &cached[1], keys_url, keep[i],
				  error_r);
		if (keys == NULL)
			return OIDC_FAILED;
		ok = is_signed(jwt, keys);
		json_decref(keys);
	}
	if (ok)
		return OIDC_OK;
	*error_r = x_strdup("the token is not signed by the provider");
	return OIDC_DENIED;
}

static enum oidc_result
check_signed(const struct config *config, const struct jwt *jwt,
	     const char *nonce, int64_t now, struct identity *identity_r,
	     char **error_r)
{
	const char *why = "is no JSON Web Token";
	json_t *claims = jwt_claims(jwt);

	if (claims != NULL)
		why = oidc_claims_read(config, claims, nonce, now, identity_r);
	json_decref(claims);
	if (why == NULL)
		return OIDC_OK;
	*error_r = x_asprintf("the token %s", why);
	return OIDC_DENIED;
}

static enum oidc_result
check(const struct config *config, const char *keys_url, const char *token,
      const char *nonce, int64_t now, struct identity *identity_r,
      char **error_r)
{
	enum oidc_result result = OIDC_DENIED;
	struct jwt jwt;

	if (!jwt_parse(token, &jwt))
		*error_r = x_strdup("the token is no JSON Web Token");
	else
		result = check_signature(config, &jwt, keys_url, error_r);
	if (result == OIDC_OK)
		result = check_signed(config, &jwt, nonce, now, identity_r,
				      error_r);
	jwt_free(&jwt);
	return result;
}

enum oidc_result
oidc_finish(const struct config *config, const struct oidc_flow *flow,
	    const char *code, int64_t now, struct identity *identity_r,
	    char **error_r)
{
	enum oidc_result result = OIDC_FAILED;
	json_t *provider = discover(config, error_r);
	char *token = NULL;
	const char *url;

	if (provider != NULL)
		token = exchange(config, provider, flow, code, error_r);
	if (token != NULL) {
		url = endpoint(config, provider, "jwks_uri", error_r);
		if (url != NULL)
			result = check(config, url, token, flow->nonce, now,
				       identity_r, error_r);
	}
	free_secret(token);
	json_decref(provider);
	return result;
}
