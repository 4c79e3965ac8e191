#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "alloc.h"
#include "config-etcd.h"
#include "curl-ca.h"
#include "curl-json.h"
#include "encode.h"
#include "file.h"
#include "json-text.h"
#include "strlist.h"
#include "text.h"

struct overlay {
	struct config *config;
	CURL *curl;
	struct curl_slist *headers;
	const char *endpoint;
	char *error;
};

/* Asks etcd's JSON gateway. */
static json_t *ask(struct overlay *o, const char *path, json_t *question)
{
	char *url = x_asprintf("%s%s", o->endpoint, path);
	char *body = json_to_text(question, JSON_COMPACT), *error = NULL;
	json_t *json;

	curl_easy_setopt(o->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(o->curl, CURLOPT_HTTPHEADER, o->headers);
	json = curl_json_get(o->curl, url, 0, &error);
	if (json == NULL)
		o->error = x_asprintf("etcd: %s", error);
	free(error);
	free_secret(body);
	free(url);
	json_decref(question);
	return json;
}

/* Without white space around it, which is left out in the file, too:
   `echo value | etcdctl put key` adds a line end. */
static char *strip(const char *value, size_t len)
{
	static const char space[] = " \t\r\n";

	while (len > 0 && strchr(space, value[len - 1]) != NULL)
		len--;
	while (len > 0 && strchr(space, *value) != NULL) {
		value++;
		len--;
	}
	return x_strndup(value, len);
}

bool config_etcd_take(struct config *config, const char *name,
		      const char *key, const json_t *answer, char **error_r)
{
	const json_t *kv = json_array_get(json_object_get(answer, "kvs"), 0);
	unsigned char *decoded;
	const char *value;
	char *stripped;
	size_t len = 0;
	bool ret;

	if (kv == NULL)
		return true;
	/* proto3 leaves an empty value out */
	value = json_string_value(json_object_get(kv, "value"));
	if (value == NULL)
		value = "";
	decoded = base64_decode(value, strlen(value), &len);
	if (decoded == NULL || !utf8_valid((char *)decoded, len)) {
		*error_r = x_asprintf("etcd: %s: is not text", name);
		ret = false;
	} else {
		stripped = strip((char *)decoded, len);
		ret = config_set(config, key, stripped, error_r);
		free_secret(stripped);
	}
	free_secret((char *)decoded);
	return ret;
}

static void overlay_key(const char *etcd_key, const char *key, void *context)
{
	struct overlay *o = context;
	char *name, *encoded;
	json_t *answer;

	if (o->error != NULL)
		return;
	name = x_asprintf("%s%s", o->config->etcd_prefix, etcd_key);
	encoded = base64_encode(name, strlen(name));
	answer = ask(o, "/v3/kv/range", json_pack("{s:s}", "key", encoded));
	free(encoded);
	if (answer != NULL)
		(void)config_etcd_take(o->config, name, key, answer,
				       &o->error);
	json_decref(answer);
	free(name);
}

static void authenticate(struct overlay *o)
{
	char *password, *header;
	const char *token;
	json_t *answer;

	password = read_secret_file(o->config->etcd_password_file, &o->error);
	if (password == NULL)
		return;
	answer = ask(o, "/v3/auth/authenticate",
		     json_pack("{s:s, s:s}", "name", o->config->etcd_user,
			       "password", password));
	free_secret(password);
	token = json_string_value(json_object_get(answer, "token"));
	if (token != NULL) {
		header = x_asprintf("Authorization: %s", token);
		o->headers = curl_slist_append(o->headers, header);
		free_secret(header);
	} else if (o->error == NULL) {
		o->error = x_asprintf("etcd: %s: gave no token", o->endpoint);
	}
	json_decref(answer);
}

static bool overlay_from(struct overlay *o)
{
	struct config *config = o->config;

	o->curl = curl_easy_init();
	o->headers = curl_slist_append(NULL, "Content-Type: application/json");
	curl_easy_setopt(o->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(o->curl, CURLOPT_TIMEOUT, (long)config->etcd_timeout);
	curl_set_ca(o->curl, config->etcd_ca_file);
	if (*config->etcd_user != '\0')
		authenticate(o);
	config_etcd_keys(overlay_key, o);
	curl_slist_free_all(o->headers);
	curl_easy_cleanup(o->curl);
	return o->error == NULL;
}

bool config_etcd_overlay(struct config *config, char **error_r)
{
	struct strlist endpoints = { NULL, 0, 0 };
	struct overlay o;
	bool ret = true;
	size_t i;

	strlist_split(&endpoints, config->etcd_endpoints);
	for (i = 0; i < endpoints.count; i++) {
		memset(&o, 0, sizeof(o));
		o.config = config;
		o.endpoint = endpoints.items[i];
		ret = overlay_from(&o);
		if (ret)
			break;
		if (i + 1 < endpoints.count) {
			free(o.error);
			continue;
		}
		*error_r = o.error;
	}
	strlist_free(&endpoints);
	return ret;
}
