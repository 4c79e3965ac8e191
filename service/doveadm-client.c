#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "doveadm-client.h"
#include "log.h"
#include "metrics.h"
#include "util.h"

/* 10,000 rows of a kilobyte and some */
#define ANSWER_MAX (64 * 1024 * 1024)
#define RETRY_DELAY_MS 250
#define POLL_MS 1000
/* a connection that was idle for longer is not used again */
#define IDLE_MAX_SECS 60

/* A call on its way. */
struct transfer {
	struct transfer *next;
	struct doveadm_call *call;
	struct strlist urls;
	unsigned int tries;
	int64_t not_before;
	char *body;
	struct strbuf answer;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
};

static struct {
	pthread_t thread;
	CURLM *multi;
	pthread_mutex_t lock;
	struct transfer *queue, **queue_end;
	bool stop;
	unsigned int active, active_max;
} client = { .lock = PTHREAD_MUTEX_INITIALIZER };

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
	body = json_dumps(command, JSON_COMPACT);
	json_decref(command);
	return body;
}

static size_t add_answer(char *data, size_t size, size_t nmemb, void *context)
{
	struct transfer *t = context;

	if (t->answer.len + size * nmemb > ANSWER_MAX) {
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
	if (*config->doveadm_ca_file != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, config->doveadm_ca_file);
	set_login(curl, t);
	t->tries++;
	client.active++;
	curl_multi_add_handle(client.multi, curl);
}

static const char *name_of(const struct doveadm_call *call)
{
	return call->command == NULL ? "list of commands" : call->command;
}

static void transfer_end(struct transfer *t)
{
	struct doveadm_call *call = t->call;

	metrics_doveadm_call(call->result);
	if (call->result != DOVEADM_OK)
		log_warning("doveadm: %s: %s", name_of(call), call->error);
	strlist_free(&t->urls);
	free(t->body);
	free(t->answer.data);
	free(t);
	call->done(call);
}

static void fail(struct transfer *t, enum doveadm_result result, char *error)
{
	t->call->result = result;
	free(t->call->error);
	t->call->error = error;
}

static void queue_add(struct transfer *t)
{
	pthread_mutex_lock(&client.lock);
	t->next = NULL;
	*client.queue_end = t;
	client.queue_end = &t->next;
	pthread_mutex_unlock(&client.lock);
}

static void parse_answer(struct transfer *t)
{
	struct doveadm_call *call = t->call;
	const char *kind, *type;
	json_t *answer, *first, *value;

	answer = json_loadb(t->answer.data != NULL ? t->answer.data : "",
			    t->answer.len, JSON_ALLOW_NUL, NULL);
	first = json_array_get(answer, 0);
	kind = json_string_value(json_array_get(first, 0));
	value = json_array_get(first, 1);
	if (call->command == NULL && json_is_object(first)) {
		call->result = DOVEADM_OK;
		call->answer = json_incref(answer);
	} else if (kind != NULL && strcmp(kind, "doveadmResponse") == 0) {
		call->result = DOVEADM_OK;
		call->answer = json_incref(value);
		free(call->error);
		call->error = NULL;
	} else if (kind != NULL && strcmp(kind, "error") == 0) {
		type = json_string_value(json_object_get(value, "type"));
		call->exit_code = (int)json_integer_value(
			json_object_get(value, "exitCode"));
		fail(t, DOVEADM_FAILED,
		     x_asprintf("doveadm answered %s %d",
				type != NULL ? type : "error",
				call->exit_code));
	} else {
		fail(t, DOVEADM_UNREACHABLE,
		     x_strdup("doveadm's answer is not valid"));
	}
	json_decref(answer);
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
		     x_asprintf("%s: status %ld", url, status));
		return status >= 500;
	}
	parse_answer(t);
	return false;
}

static void finish(CURL *curl, CURLcode code)
{
	struct transfer *t = NULL;
	bool retry;

	curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&t);
	retry = evaluate(t, curl, code);
	curl_multi_remove_handle(client.multi, curl);
	curl_easy_cleanup(curl);
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	client.active--;
	if (!retry || t->tries > t->call->config->doveadm_retries) {
		transfer_end(t);
		return;
	}
	log_info("doveadm: %s: %s, trying again", name_of(t->call),
		 t->call->error);
	metrics_doveadm_retry();
	t->not_before = now_ms() + RETRY_DELAY_MS * t->tries;
	queue_add(t);
}

/* Takes from the queue what may begin now; returns how long until the next
   retry is due. */
static int begin_queued(bool *stop_r)
{
	int64_t now = now_ms(), wait = POLL_MS;
	struct transfer **p, *t;

	pthread_mutex_lock(&client.lock);
	for (p = &client.queue; (t = *p) != NULL; ) {
		if (t->not_before > now) {
			if (t->not_before - now < wait)
				wait = t->not_before - now;
			p = &t->next;
			continue;
		}
		if (client.active >= client.active_max)
			break;
		*p = t->next;
		if (*p == NULL)
			client.queue_end = p;
		begin(t);
	}
	*stop_r = client.stop && client.queue == NULL && client.active == 0;
	pthread_mutex_unlock(&client.lock);
	return (int)wait;
}

static void *client_main(void *context)
{
	bool stop = false;

	while (!stop) {
		int running, left, wait = begin_queued(&stop);
		CURLMsg *msg;

		curl_multi_perform(client.multi, &running);
		while ((msg = curl_multi_info_read(client.multi, &left)) !=
		       NULL) {
			if (msg->msg == CURLMSG_DONE) {
				finish(msg->easy_handle, msg->data.result);
				wait = 0;
			}
		}
		if (!stop)
			curl_multi_poll(client.multi, NULL, 0, wait, NULL);
	}
	return context;
}

bool doveadm_client_start(const struct config *config)
{
	client.multi = curl_multi_init();
	client.queue_end = &client.queue;
	client.active_max = config->doveadm_connections;
	client.stop = false;
	curl_multi_setopt(client.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
			  (long)config->doveadm_connections);
	curl_multi_setopt(client.multi, CURLMOPT_MAXCONNECTS,
			  (long)config->doveadm_connections);
	return pthread_create(&client.thread, NULL, client_main, NULL) == 0;
}

void doveadm_client_stop(void)
{
	pthread_mutex_lock(&client.lock);
	client.stop = true;
	pthread_mutex_unlock(&client.lock);
	curl_multi_wakeup(client.multi);
	pthread_join(client.thread, NULL);
	curl_multi_cleanup(client.multi);
}

void doveadm_call_start(struct doveadm_call *call)
{
	struct transfer *t = x_calloc(1, sizeof(*t));

	t->call = call;
	strlist_split(&t->urls, call->urls);
	t->body = make_body(call);
	json_decref(call->params);
	call->params = NULL;
	queue_add(t);
	curl_multi_wakeup(client.multi);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void wake_waiter(struct doveadm_call *call)
{
	struct waiter *w = call->context;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

void doveadm_call_wait(struct doveadm_call *call)
{
	struct waiter w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
			    false };

	call->done = wake_waiter;
	call->context = &w;
	doveadm_call_start(call);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
}
