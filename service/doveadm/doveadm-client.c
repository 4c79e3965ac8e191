#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "alloc.h"
#include "clock.h"
#include "curl-ca.h"
#include "doveadm-client.h"
#include "encode.h"
#include "json-text.h"
#include "log.h"
#include "metrics.h"
#include "strbuf.h"
#include "strlist.h"

/* What Dovecot says if nobody can log in. */
#define NO_LOGIN_HINT \
	" (see Dovecot's log: are doveadm_password and doveadm_api_key empty?)"

#define RETRY_DELAY_MS 250
#define POLL_MS 1000
/* a connection that was idle for longer is not used again */
#define IDLE_MAX_SECS 60

/* A call on its way. */
struct transfer {
	struct transfer *next;
	struct doveadm_calls *calls;
	struct doveadm_call *call;
	struct strlist urls;
	unsigned int tries;
	int64_t not_before;
	char *body;
	struct strbuf answer;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
};

struct doveadm_calls {
	struct doveadm_calls *next;
	CURLM *multi;
	/* of its connections; see doveadm_client_forget() */
	unsigned int age;
	/* not sent yet */
	struct transfer *queue, **queue_end;
	struct transfer *ended;
	unsigned int active;
};

static struct {
	pthread_mutex_t lock;
	/* a call of anyone has ended */
	pthread_cond_t cond;
	unsigned int active, active_max;
	/* connections to be used again */
	struct doveadm_calls *idle;
	unsigned int idle_max, age;
} client = { .lock = PTHREAD_MUTEX_INITIALIZER,
	     .cond = PTHREAD_COND_INITIALIZER };

char *doveadm_camel_case(const char *name)
{
	char *out = x_calloc(strlen(name) + 1, 1), *p = out;

	for (; *name != '\0'; name++) {
		if ((*name != '-' && *name != ' ') || name[1] == '\0') {
			*p++ = *name;
			continue;
		}
		name++;
		*p++ = *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name;
	}
	return out;
}

void doveadm_tally_add(struct doveadm_tally *tally, enum doveadm_result result)
{
	switch (result) {
	case DOVEADM_OK:
	case DOVEADM_FAILED:
		tally->answered++;
		break;
	case DOVEADM_UNREACHABLE:
		tally->unreachable++;
		break;
	case DOVEADM_TIMEOUT:
		tally->timeouts++;
		break;
	}
}

enum doveadm_result doveadm_tally_result(const struct doveadm_tally *tally)
{
	if (tally->answered > 0 || tally->unreachable + tally->timeouts == 0)
		return DOVEADM_OK;
	return tally->unreachable > 0 ? DOVEADM_UNREACHABLE : DOVEADM_TIMEOUT;
}

/* The body is made once: a retry sends the same octets. */
static char *make_body(const struct doveadm_call *call)
{
	json_t *params, *value, *command;
	char *name, *body;
	const char *key;

	if (call->command == NULL)
		return NULL;
	params = json_object();
	json_object_foreach(call->params, key, value) {
		name = doveadm_camel_case(key);
		json_object_set(params, name, value);
		free(name);
	}
	name = doveadm_camel_case(call->command);
	command = json_pack("[[s, o, s]]", name, params, "1");
	free(name);
	body = json_to_text(command, JSON_COMPACT);
	json_decref(command);
	return body;
}

static size_t add_answer(char *data, size_t size, size_t nmemb, void *context)
{
	struct transfer *t = context;

	if (t->answer.len + size * nmemb > DOVEADM_ANSWER_MAX) {
		t->call->too_large = true;
		return 0;
	}
	strbuf_add(&t->answer, data, size * nmemb);
	return size * nmemb;
}

static void set_login(CURL *curl, struct transfer *t)
{
	static const char basic[] = "doveadm:";
	const char *login = t->call->config->doveadm_login;
	char *encoded, *header;

	encoded = base64_encode(login, strlen(login));
	header = x_asprintf("Authorization: %s %s",
			    strncmp(login, basic, strlen(basic)) == 0 ?
			    "Basic" : "X-Dovecot-API", encoded);
	t->headers = curl_slist_append(NULL, header);
	t->headers = curl_slist_append(t->headers,
				       "Content-Type: application/json");
	t->headers = curl_slist_append(t->headers, "Expect:");
	free_secret(encoded);
	free_secret(header);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
}

static void begin(struct transfer *t)
{
	const struct config *config = t->call->config;
	CURL *curl = curl_easy_init();

	t->answer.len = 0;
	curl_easy_setopt(curl, CURLOPT_URL,
			 t->urls.items[t->tries % t->urls.count]);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
	if (t->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, t->body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)strlen(t->body));
	}
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, add_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->curl_error);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_SECS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
			 (long)config->doveadm_connect_timeout);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT,
			 (long)(t->call->timeout > 0 ? t->call->timeout :
				config->doveadm_timeout));
	curl_set_ca(curl, config->doveadm_ca_file);
	set_login(curl, t);
	t->tries++;
	t->calls->active++;
	curl_multi_add_handle(t->calls->multi, curl);
}

static const char *name_of(const struct doveadm_call *call)
{
	return call->command == NULL ? "list of commands" : call->command;
}

static void fail(struct transfer *t, enum doveadm_result result, char *error)
{
	t->call->result = result;
	free(t->call->error);
	t->call->error = error;
}

static void queue_add(struct transfer *t)
{
	t->next = NULL;
	*t->calls->queue_end = t;
	t->calls->queue_end = &t->next;
}

static enum doveadm_form form_of(const struct doveadm_call *call)
{
	if (call->command == NULL)
		return DOVEADM_COMMANDS;
	return call->object ? DOVEADM_OBJECT : DOVEADM_ROWS;
}

static void read_answer(struct transfer *t)
{
	struct doveadm_call *call = t->call;

	/* of a try before this one */
	free(call->error);
	call->octets = t->answer.len;
	call->result = doveadm_answer_read(
		t->answer.data != NULL ? t->answer.data : "", t->answer.len,
		form_of(call), &call->answer, &call->exit_code,
		&call->error);
}

/* Whether anything can have been sent: it took too long to connect. */
static bool is_connected(CURL *curl)
{
	curl_off_t elapsed = 0;

	curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &elapsed);
	return elapsed > 0;
}

/* Returns whether it is worth a retry. */
static bool evaluate(struct transfer *t, CURL *curl, CURLcode code)
{
	const char *url = NULL;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OPERATION_TIMEDOUT && is_connected(curl)) {
		fail(t, DOVEADM_TIMEOUT, x_asprintf("%s: no answer in time",
						    url));
		return false;
	}
	if (code != CURLE_OK) {
		fail(t, DOVEADM_UNREACHABLE,
		     x_asprintf("%s: %s", url, *t->curl_error != '\0' ?
				t->curl_error : curl_easy_strerror(code)));
		return code != CURLE_PEER_FAILED_VERIFICATION &&
		       code != CURLE_WRITE_ERROR;
	}
	if (status == 401 || status == 403) {
		fail(t, DOVEADM_UNREACHABLE,
		     x_asprintf("%s: the login is refused", url));
		return false;
	}
	if (status != 200) {
		fail(t, DOVEADM_UNREACHABLE,
		     x_asprintf("%s: status %ld%s", url, status,
				status == 500 ? NO_LOGIN_HINT : ""));
		return status >= 500;
	}
	read_answer(t);
	return false;
}

/* Takes the right to one more call under way. Who has one already does not wait
   for it: that one's end is as good. */
static bool take_slot(bool wait)
{
	bool ret;

	pthread_mutex_lock(&client.lock);
	while (wait && client.active >= client.active_max)
		pthread_cond_wait(&client.cond, &client.lock);
	ret = client.active < client.active_max;
	if (ret)
		client.active++;
	pthread_mutex_unlock(&client.lock);
	return ret;
}

static void release_slot(void)
{
	pthread_mutex_lock(&client.lock);
	client.active--;
	pthread_cond_signal(&client.cond);
	pthread_mutex_unlock(&client.lock);
}

static void finish(CURL *curl, CURLcode code)
{
	struct transfer *t = NULL;
	bool retry;

	curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&t);
	retry = evaluate(t, curl, code);
	curl_multi_remove_handle(t->calls->multi, curl);
	curl_easy_cleanup(curl);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	t->calls->active--;
	if (!t->call->probe)
		release_slot();
	if (!retry || t->call->once ||
	    t->tries > t->call->config->doveadm_retries) {
		t->next = t->calls->ended;
		t->calls->ended = t;
		return;
	}
	log_info("doveadm: %s: %s, trying again", name_of(t->call),
		 t->call->error);
	metrics_add(METRIC_CALL_RETRIES, 1);
	t->not_before = now_ms() + RETRY_DELAY_MS * t->tries;
	queue_add(t);
}

/* Sends what may be sent now; returns how long until there is more to do but
   what the network tells of. */
static int begin_queued(struct doveadm_calls *calls)
{
	int64_t now = now_ms(), wait = POLL_MS;
	struct transfer **p, *t;

	for (p = &calls->queue; (t = *p) != NULL; ) {
		if (t->not_before > now) {
			if (t->not_before - now < wait)
				wait = t->not_before - now;
			p = &t->next;
			continue;
		}
		if (!t->call->probe && !take_slot(calls->active == 0))
			break;
		*p = t->next;
		if (*p == NULL)
			calls->queue_end = p;
		begin(t);
	}
	return (int)wait;
}

static void transfer_free(struct transfer *t)
{
	strlist_free(&t->urls);
	free(t->body);
	free(t->answer.data);
	free(t);
}

struct doveadm_call *doveadm_calls_wait(struct doveadm_calls *calls)
{
	struct doveadm_call *call;
	struct transfer *t;

	for (;;) {
		int running, left, wait = begin_queued(calls);
		CURLMsg *msg;

		curl_multi_perform(calls->multi, &running);
		while ((msg = curl_multi_info_read(calls->multi, &left)) !=
		       NULL) {
			if (msg->msg == CURLMSG_DONE)
				finish(msg->easy_handle, msg->data.result);
		}
		t = calls->ended;
		if (t != NULL)
			break;
		curl_multi_poll(calls->multi, NULL, 0, wait, NULL);
	}
	calls->ended = t->next;
	call = t->call;
	transfer_free(t);
	metrics_add(METRIC_CALL_OK + call->result, 1);
	if (call->result != DOVEADM_OK)
		log_warning("doveadm: %s: %s", name_of(call), call->error);
	return call;
}

void doveadm_calls_add(struct doveadm_calls *calls, struct doveadm_call *call)
{
	struct transfer *t = x_calloc(1, sizeof(*t));

	t->calls = calls;
	t->call = call;
	strlist_split(&t->urls, call->urls);
	t->body = make_body(call);
	json_decref(call->params);
	call->params = NULL;
	queue_add(t);
}

struct doveadm_calls *doveadm_calls_begin(void)
{
	struct doveadm_calls *calls;
	unsigned int age;

	pthread_mutex_lock(&client.lock);
	calls = client.idle;
	if (calls != NULL)
		client.idle = calls->next;
	age = client.age;
	pthread_mutex_unlock(&client.lock);
	if (calls != NULL)
		return calls;
	calls = x_calloc(1, sizeof(*calls));
	calls->age = age;
	calls->queue_end = &calls->queue;
	calls->multi = curl_multi_init();
	curl_multi_setopt(calls->multi, CURLMOPT_MAXCONNECTS,
			  (long)client.idle_max);
	return calls;
}

static void calls_free(struct doveadm_calls *calls)
{
	curl_multi_cleanup(calls->multi);
	free(calls);
}

void doveadm_calls_end(struct doveadm_calls *calls)
{
	bool old;

	pthread_mutex_lock(&client.lock);
	old = calls->age != client.age;
	if (!old) {
		calls->next = client.idle;
		client.idle = calls;
	}
	pthread_mutex_unlock(&client.lock);
	if (old)
		calls_free(calls);
}

void doveadm_call_run(struct doveadm_call *call)
{
	struct doveadm_calls *calls = doveadm_calls_begin();

	doveadm_calls_add(calls, call);
	(void)doveadm_calls_wait(calls);
	doveadm_calls_end(calls);
}

void doveadm_client_start(const struct config *config)
{
	client.active_max = config->doveadm_connections;
	client.idle_max = config->doveadm_connections_per_recall;
}

void doveadm_client_forget(void)
{
	struct doveadm_calls *idle, *calls;

	pthread_mutex_lock(&client.lock);
	idle = client.idle;
	client.idle = NULL;
	client.age++;
	pthread_mutex_unlock(&client.lock);
	while ((calls = idle) != NULL) {
		idle = calls->next;
		calls_free(calls);
	}
}
