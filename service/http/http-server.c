#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "http-body.h"
#include "http-certificate.h"
#include "http-clients.h"
#include "http-head.h"
#include "http-listener.h"
#include "http-parse.h"
#include "http-reply.h"
#include "http-request.h"
#include "http-server.h"
#include "http-source.h"
#include "log.h"
#include "metrics.h"
#include "worker.h"

/* how long answers may take to leave when the server stops */
#define FLUSH_MS 5000
#define RETRY_AFTER_FULL 5
#define RETRY_AFTER_BODIES 5
/* who takes an answer more slowly than that is not waited for */
#define OCTETS_PER_MS_MIN 16
/* what is kept of a body before it is known who sends it */
#define UNAUTHENTICATED_BODY_MAX 65536

/* What clients load must not hold up what watches the service. */
#define HEALTH_WORKERS 2

static struct {
	struct http_listener main, health;
	/* logins wait for as long as Dovecot makes those who guess wait */
	struct worker_pool *logins;
	const struct http_api *api;
	unsigned int active;
	bool stopping;
} server;

/* What is done for every request before its answer leaves. */
static void conclude(struct http_request *request)
{
	server.api->conclude(request);
	metrics_request(request->route != NULL ? request->route->path : "",
			request->status, now_ms() - request->started);
	log_debug("%s %s from %s: %u", request->route != NULL ?
		  request->route->method : "?", request->path, request->source,
		  request->status);
}

static struct MHD_Response *make_response(struct http_request *request)
{
	struct MHD_Response *response;

	/* it stays until the request is completed() */
	if (request->reply_fd < 0)
		return MHD_create_response_from_buffer(request->reply_len,
				request->reply, MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_fd64(request->reply_len,
						 request->reply_fd);
	/* it is closed with the response */
	if (response != NULL)
		request->reply_fd = -1;
	return response;
}

static enum MHD_Result send_reply(struct http_request *request)
{
	struct MHD_Response *response = make_response(request);
	enum MHD_Result ret;
	size_t i;

	if (response == NULL)
		return MHD_NO;
	http_clients_expect(request->connection,
			    request->config->http_request_timeout * 1000 +
			    (int64_t)request->reply_len / OCTETS_PER_MS_MIN);
	MHD_add_response_header(response, "Content-Type", request->reply_type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (i = 0; i < request->reply_headers.count; i += 2)
		MHD_add_response_header(response,
					request->reply_headers.items[i],
					request->reply_headers.items[i + 1]);
	ret = MHD_queue_response(request->connection, request->status,
				 response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result reply_now(struct http_request *request)
{
	conclude(request);
	return send_reply(request);
}

/* From here on the request belongs to the server's thread. */
static void finish(struct http_request *request)
{
	struct MHD_Connection *connection = request->connection;

	conclude(request);
	__atomic_store_n(&request->replied, true, __ATOMIC_RELEASE);
	MHD_resume_connection(connection);
}

static void work_login(void *context)
{
	struct http_request *request = context;

	/* nobody waits for those that have not begun */
	request->too_busy = __atomic_load_n(&server.stopping, __ATOMIC_RELAXED);
	request->login(request);
	finish(request);
}

static void work(void *context)
{
	struct http_request *request = context;

	if (http_request_parse(request))
		server.api->run(request);
	if (request->login != NULL) {
		if (worker_pool_add(server.logins, work_login, request))
			return;
		request->too_busy = true;
		request->login(request);
	}
	finish(request);
}

static char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection,
							MHD_HEADER_KIND, name);

	return value == NULL ? NULL : x_strdup(value);
}

/* What is packed would be read as it is. */
static bool is_encoded(const struct http_request *request)
{
	const char *encoding;

	encoding = MHD_lookup_connection_value(request->connection,
					       MHD_HEADER_KIND,
					       "Content-Encoding");
	return encoding != NULL && strcasecmp(encoding, "identity") != 0;
}

static bool announces_too_much(const struct http_request *request)
{
	const char *length;

	length = MHD_lookup_connection_value(request->connection,
					     MHD_HEADER_KIND,
					     "Content-Length");
	return length != NULL && strtoull(length, NULL, 10) >
				 (uint64_t)request->config->http_max_body;
}

static enum MHD_Result
begin_request(struct http_request *request, const char *method,
	      const char *version, const struct http_listener *listener)
{
	const char *allow, *why, *console;
	unsigned int status;

	http_source_set(request);
	request->authorization = header(request->connection, "Authorization");
	request->content_type = header(request->connection, "Content-Type");
	http_cookies(request->connection, SESSION_COOKIE,
		     &request->session_cookies);
	request->session_proof = http_cookie(request->connection,
					     SESSION_PROOF_COOKIE);
	request->flow_cookie = http_cookie(request->connection,
					   http_request_flow_cookie(request));
	console = MHD_lookup_connection_value(request->connection,
					      MHD_HEADER_KIND, CONSOLE_HEADER);
	request->from_console = console != NULL;
	request->from_https = console != NULL &&
		strcmp(console, CONSOLE_HTTPS) == 0;
	request->prefer = http_list_header(request->connection, "Prefer");
	request->idempotency_key = http_list_header(request->connection,
						    "Idempotency-Key");
	why = http_head_check(request->connection, version, &status);
	if (why != NULL) {
		http_reply_message(request, status, why);
		http_reply_header(request, "Connection", "close");
		return reply_now(request);
	}
	request->route = server.api->find(method, request->path, &allow);
	if (listener->health && request->route != NULL &&
	    !request->route->health)
		request->route = NULL;
	if (request->route == NULL) {
		if (allow == NULL) {
			http_reply_message(request, 404, "There is no such "
					   "resource");
		} else {
			http_reply_message(request, 405, "The method is not "
					   "allowed here");
			http_reply_header(request, "Allow", allow);
		}
		return reply_now(request);
	}
	if (is_encoded(request)) {
		http_reply_message(request, 415, "The body's Content-Encoding "
				   "is not supported");
		http_reply_header(request, "Connection", "close");
		return reply_now(request);
	}
	if (announces_too_much(request)) {
		http_reply_message(request, 413, "The body is too large");
		http_reply_header(request, "Connection", "close");
		return reply_now(request);
	}
	return MHD_YES;
}

static enum MHD_Result
add_body(struct http_request *request, const char *data, size_t size)
{
	size_t max = request->config->http_max_body;
	char *caller;

	request->received += size;
	if (request->received > max)
		request->too_large = true;
	if (!request->too_large && !request->known &&
	    request->received > UNAUTHENTICATED_BODY_MAX) {
		caller = server.api->caller(request);
		request->known = caller != NULL;
		request->unauthenticated = request->too_large = !request->known;
		if (request->known)
			http_body_set_caller(&request->body, caller);
		free(caller);
	}
	if (!request->too_large &&
	    !http_body_add(&request->body, request->config, request->source,
			   data, size))
		request->too_large = true;
	if (!request->too_large)
		return MHD_YES;
	http_body_drop(&request->body);
	/* a client that sends far too much: the connection is closed */
	return request->received > max * 2 ? MHD_NO : MHD_YES;
}

static void reply_refused_body(struct http_request *request)
{
	const struct http_body *body = &request->body;

	if (body->refused == NULL)
		http_reply_message(request, 413, "The body is too large");
	else
		http_reply_later(request, body->refused_status, body->refused,
				 RETRY_AFTER_BODIES);
}

/* The body was not kept. */
static enum MHD_Result refuse_body(struct http_request *request)
{
	if (!request->unauthenticated || server.api->authenticate(request))
		reply_refused_body(request);
	return reply_now(request);
}

static enum MHD_Result dispatch(struct http_request *request,
				struct http_listener *listener)
{
	if (request->too_large)
		return refuse_body(request);
	if (request->route->inlined) {
		server.api->run(request);
		return reply_now(request);
	}
	http_clients_working(request->connection);
	MHD_suspend_connection(request->connection);
	if (!worker_pool_add(listener->pool, work, request)) {
		http_reply_later(request, 503, "The service is busy",
				 RETRY_AFTER_FULL);
		finish(request);
	}
	return MHD_YES;
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *url,
       const char *method, const char *version, const char *data,
       size_t *size, void **con_cls)
{
	struct http_request *request = *con_cls;
	struct http_listener *listener = context;
	enum MHD_Result ret;

	if (request == NULL) {
		request = http_request_new();
		request->connection = connection;
		request->config = config_current();
		request->path = x_strdup(http_head_path(url));
		request->started = now_ms();
		*con_cls = request;
		__atomic_add_fetch(&server.active, 1, __ATOMIC_RELAXED);
		http_clients_expect(connection,
				    request->config->http_request_timeout *
				    1000);
		return begin_request(request, method, version, listener);
	}
	if (*size > 0) {
		ret = add_body(request, data, *size);
		*size = 0;
		return ret;
	}
	if (__atomic_load_n(&request->replied, __ATOMIC_ACQUIRE))
		return send_reply(request);
	return dispatch(request, listener);
}

static void completed(void *context, struct MHD_Connection *connection,
		      void **con_cls, enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)code;
	http_clients_waiting(connection);
	if (*con_cls == NULL)
		return;
	http_request_free(*con_cls);
	*con_cls = NULL;
	__atomic_sub_fetch(&server.active, 1, __ATOMIC_RELAXED);
}

/* Those that hand requests on end first. */
static void stop_workers(void)
{
	worker_pool_stop(server.main.pool);
	worker_pool_stop(server.health.pool);
	worker_pool_stop(server.logins);
}

static void free_workers(void)
{
	worker_pool_free(server.main.pool);
	worker_pool_free(server.health.pool);
	worker_pool_free(server.logins);
}

bool http_server_start(const struct config *config, const struct http_api *api,
		       char **error_r)
{
	server.api = api;
	server.main.pool = worker_pool_start(config->http_workers,
					     config->http_queue);
	server.health.pool = worker_pool_start(HEALTH_WORKERS,
					       HTTP_HEALTH_CONNECTIONS);
	server.logins = worker_pool_start(config->auth_logins,
					  config->auth_logins_queue);
	if (server.main.pool == NULL || server.health.pool == NULL ||
	    server.logins == NULL)
		*error_r = x_strdup("threads could not be started");
	else if (http_listener_start_health(&server.health, config, handle,
					    completed, error_r) &&
		 http_listener_start(&server.main, config, handle, completed,
				     error_r))
		return true;
	stop_workers();
	http_listener_stop(&server.health);
	http_certificate_free();
	free_workers();
	return false;
}

void http_server_reload(const struct config *config)
{
	char *error = NULL;

	/* TLS is turned on and off by a restart */
	if (config->tls_cert_pem == NULL || http_certificate_expires() == 0)
		return;
	if (!http_certificate_set(config, &error)) {
		log_error("the old certificate stays: %s", error);
		free(error);
	}
}

void http_server_stop(void)
{
	int64_t until;
	int fd;

	__atomic_store_n(&server.stopping, true, __ATOMIC_RELAXED);
	fd = MHD_quiesce_daemon(server.main.daemon);
	stop_workers();
	until = now_ms() + FLUSH_MS;
	while (__atomic_load_n(&server.active, __ATOMIC_RELAXED) > 0 &&
	       now_ms() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	http_listener_stop(&server.main);
	http_listener_stop(&server.health);
	http_certificate_free();
	free_workers();
	if (fd >= 0)
		close(fd);
}

void http_server_gauges(struct metrics_gauges *gauges)
{
	gauges->connections = http_listener_count(&server.main);
	gauges->queued = worker_pool_queued(server.main.pool);
	gauges->certificate_expires = http_certificate_expires();
	gauges->body_octets = http_body_total();
	gauges->logins_queued = worker_pool_queued(server.logins);
	gauges->logins_running = worker_pool_busy(server.logins) -
		gauges->logins_queued;
}
