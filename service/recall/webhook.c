#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "curl-ca.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "clock.h"
#include "config.h"
#include "encode.h"
#include "journal-webhook.h"
#include "journal.h"
#include "json-text.h"
#include "log.h"
#include "metrics.h"
#include "recall-json.h"
#include "webhook.h"

#define POLL_MS 1000
#define RETRY_MAX_SECS 3600
#define HOUR 3600

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool running, stopping;

/* Who and what, and how many; whose mail it was is for GET /v2/actions/<id>,
   which wants a token. */
static json_t *make_recall(const struct recall *recall)
{
	json_t *json = recall_to_json(recall);

	json_object_del(json, "results");
	json_object_del(json, "success");
	json_object_set_new(json, "actor", json_string(recall->actor.login));
	json_object_set_new(json, "tenant", json_string(recall->actor.tenant));
	if (recall->approver != NULL)
		json_object_set_new(json, "approver",
				    json_string(recall->approver));
	json_object_set_new(json, "reason", json_string(recall->reason));
	json_object_set_new(json, "force", json_boolean(recall->force));
	json_object_set_new(json, "users", json_integer(recall->count));
	json_object_set_new(json, "created", json_integer(recall->created));
	json_object_set_new(json, "finished", json_integer(recall->finished));
	return json;
}

static char *make_body(const struct journal_webhook *webhook,
		       const struct recall *recall)
{
	json_t *json = json_pack("{s:I, s:s, s:I, s:o}",
		"id", (json_int_t)webhook->id, "event", webhook->event,
		"created", (json_int_t)webhook->created,
		"recall", make_recall(recall));
	char *body = json_to_text(json, JSON_COMPACT);

	json_decref(json);
	return body;
}

/* Of the time and the body, with a dot between them: an old one that is sent
   again by others can be told. */
static char *make_signature(const char *key, int64_t now, const char *body)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	char *text = x_asprintf("%lld.%s", (long long)now, body);

	if (HMAC(EVP_sha256(), key, (int)strlen(key),
		 (const unsigned char *)text, strlen(text), md, &len) == NULL)
		abort();
	free(text);
	hex_encode(md, len, hex);
	return x_asprintf("X-Recall-Signature: t=%lld,sha256=%s",
			  (long long)now, hex);
}

static size_t discard(char *data, size_t size, size_t nmemb, void *context)
{
	(void)data;
	(void)context;
	return size * nmemb;
}

static int stop_transfer(void *context, curl_off_t a, curl_off_t b,
			 curl_off_t c, curl_off_t d)
{
	(void)context;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return __atomic_load_n(&stopping, __ATOMIC_RELAXED) ? 1 : 0;
}

static void set_options(CURL *curl, const struct config *config,
			const char *body, struct curl_slist *headers)
{
	curl_easy_setopt(curl, CURLOPT_URL, config->webhook_url);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* not to where somebody else says */
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)config->webhook_timeout);
	curl_set_ca(curl, config->webhook_ca_file);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_transfer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static bool send_body(const struct config *config,
		      const struct journal_webhook *webhook, const char *body)
{
	char *event = x_asprintf("X-Recall-Event: %s", webhook->event);
	char *signature = make_signature(config->webhook_key, time(NULL),
					 body);
	struct curl_slist *headers = NULL;
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;

	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, event);
	headers = curl_slist_append(headers, signature);
	set_options(curl, config, body, headers);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK)
		log_warning("webhook %s of recall %s: %s", webhook->event,
			    webhook->recall, curl_easy_strerror(code));
	else if (status / 100 != 2)
		log_warning("webhook %s of recall %s: status %ld",
			    webhook->event, webhook->recall, status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	free(signature);
	free(event);
	return code == CURLE_OK && status / 100 == 2;
}

/* Twice as long each time. */
static int64_t next_try(const struct journal_webhook *webhook, int64_t now)
{
	int64_t delay = webhook->tries < 12 ? (int64_t)1 << webhook->tries :
		RETRY_MAX_SECS;

	return now + (delay < RETRY_MAX_SECS ? delay : RETRY_MAX_SECS);
}

/* Returns false if that can't be written: it would be sent again at once. */
static bool failed(const struct config *config,
		   const struct journal_webhook *webhook)
{
	int64_t now = time(NULL);

	if (now - webhook->created < config->webhook_retry_hours * HOUR)
		return journal_webhook_retry(webhook->id,
					     next_try(webhook, now));
	log_error("webhook %s of recall %s: given up", webhook->event,
		  webhook->recall);
	metrics_add(METRIC_WEBHOOK_LOST, 1);
	return journal_webhook_remove(webhook->id);
}

/* Returns whether to go on at once. */
static bool send_due(const struct config *config)
{
	/* what the journal could not be told is not sent all the time */
	static int64_t taken;
	struct journal_webhook webhook;
	struct recall *recall;
	char *body;
	bool sent;

	if (journal_webhook_next(time(NULL), &webhook) <= 0)
		return false;
	if (webhook.id == taken)
		return journal_webhook_remove(webhook.id);
	switch (journal_load(webhook.recall, &recall)) {
	case JOURNAL_FOUND:
		break;
	case JOURNAL_ABSENT:
		return journal_webhook_remove(webhook.id);
	case JOURNAL_FAILED:
		/* one that is damaged is not to hold up all others */
		return failed(config, &webhook);
	}
	body = make_body(&webhook, recall);
	recall_free(recall);
	sent = body != NULL && send_body(config, &webhook, body);
	free(body);
	if (sent) {
		metrics_add(METRIC_WEBHOOK_SENT, 1);
		taken = webhook.id;
		return journal_webhook_remove(webhook.id);
	}
	if (__atomic_load_n(&stopping, __ATOMIC_RELAXED))
		return false;
	metrics_add(METRIC_WEBHOOK_FAILED, 1);
	return failed(config, &webhook);
}

/* By the settings as they are now: many that fail take longer than somebody
   needs to mend them. */
static bool send_next(void)
{
	struct config *config = config_current();
	bool more = false;

	if (*config->webhook_url == '\0')
		journal_webhooks_clear();
	else
		more = send_due(config);
	config_unref(config);
	return more;
}

static void *run(void *context)
{
	(void)context;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		pthread_mutex_unlock(&lock);
		while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED) &&
		       send_next()) ;
		pthread_mutex_lock(&lock);
		if (!stopping)
			cond_wait_ms(&cond, &lock, POLL_MS);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

bool webhook_start(void)
{
	running = pthread_create(&thread, NULL, run, NULL) == 0;
	return running;
}

void webhook_stop(void)
{
	if (!running)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	running = false;
}
