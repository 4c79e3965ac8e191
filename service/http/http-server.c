#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "http-body.h"
#include "http-clients.h"
#include "http-form.h"
#include "http-parse.h"
#include "http-reply.h"
#include "http-request.h"
#include "http-server.h"
#include "http-source.h"
#include "log.h"
#include "metrics.h"
#include "worker.h"

/* files beside client connections: doveadm, the journal, logs */
#define FILES_EXTRA 256
/* how long answers may take to leave when the server stops */
#define FLUSH_MS 5000
#define RETRY_AFTER_FULL 5
#define RETRY_AFTER_BODIES 5
/* who takes an answer more slowly than that is not waited for */
#define OCTETS_PER_MS_MIN 16
/* what is kept of a body before it is known who sends it */
#define STRANGER_BODY_MAX 65536
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
		       "%SERVER_PRECEDENCE"

/* What clients load must not hold up what watches the service. */
#define HEALTH_CONNECTIONS 64
#define HEALTH_CONNECTIONS_PER_ADDRESS 16
#define HEALTH_IDLE_TIMEOUT 10
#define HEALTH_WORKERS 2

struct listener {
	struct MHD_Daemon *daemon;
	struct worker_pool *pool;
	/* only health and metrics are asked for here */
	bool health;
};

static struct {
	struct listener main, health;
	/* logins wait for as long as Dovecot makes those who guess wait */
	struct worker_pool *logins;
	const struct http_api *api;
	unsigned int active;
	bool stopping;
} server = { .health.health = true };

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

static enum MHD_Result send_reply(struct http_request *request)
{
	struct MHD_Response *response;
	enum MHD_Result ret;
	size_t i;

	/* it stays until the request is completed() */
	response = MHD_create_response_from_buffer(request->reply_len,
						   request->reply,
						   MHD_RESPMEM_PERSISTENT);
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

/* Two lengths of one body are how a second request is hidden in it. */
static bool is_smuggled(const struct http_request *request)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_HEADER_KIND,
					   "Transfer-Encoding") != NULL &&
	       MHD_lookup_connection_value(request->connection,
					   MHD_HEADER_KIND,
					   "Content-Length") != NULL;
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
	      const struct listener *listener)
{
	const char *allow, *cookie;

	http_source_set(request);
	request->authorization = header(request->connection, "Authorization");
	request->content_type = header(request->connection, "Content-Type");
	cookie = MHD_lookup_connection_value(request->connection,
					     MHD_COOKIE_KIND, SESSION_COOKIE);
	if (cookie != NULL)
		request->session_cookie = x_strdup(cookie);
	request->from_console = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, CONSOLE_HEADER) != NULL;
	request->prefer = http_list_header(request->connection, "Prefer");
	request->idempotency_key = http_list_header(request->connection,
						    "Idempotency-Key");
	if (is_smuggled(request)) {
		http_reply_message(request, 400, "The body has two lengths");
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
	    request->received > STRANGER_BODY_MAX) {
		caller = server.api->caller(request);
		request->known = caller != NULL;
		request->stranger = request->too_large = !request->known;
		if (request->known)
			http_body_set_caller(&request->body, caller);
		free(caller);
	}
	if (!request->too_large && !http_body_add(&request->body, request->config,
						   request->source, data, size))
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
	if (!request->stranger || server.api->authenticate(request))
		reply_refused_body(request);
	return reply_now(request);
}

static enum MHD_Result dispatch(struct http_request *request,
				struct listener *listener)
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
	struct listener *listener = context;
	enum MHD_Result ret;

	(void)version;
	if (request == NULL) {
		request = http_request_new();
		request->connection = connection;
		request->config = config_current();
		request->path = x_strdup(url);
		request->started = now_ms();
		*con_cls = request;
		__atomic_add_fetch(&server.active, 1, __ATOMIC_RELAXED);
		http_clients_expect(connection,
				    request->config->http_request_timeout *
				    1000);
		return begin_request(request, method, listener);
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

/* Decodes a part of the URL in place. What is no escape, and a NUL, leaves
   nothing at all: half-read, it would name something else. */
static size_t
unescape(void *context, struct MHD_Connection *connection, char *s)
{
	char *in = s, *out = s;
	int octet;

	(void)context;
	(void)connection;
	while (*in != '\0') {
		if (*in != '%') {
			*out++ = *in++;
			continue;
		}
		octet = http_unescape(in, strnlen(in, 3));
		if (octet <= 0) {
			*s = '\0';
			return 0;
		}
		*out++ = (char)octet;
		in += 3;
	}
	*out = '\0';
	return out - s;
}

static void mhd_log(void *context, const char *fmt, va_list args)
{
	char *text;

	(void)context;
	if (vasprintf(&text, fmt, args) < 0)
		return;
	log_debug("http: %s", text);
	free(text);
}

/* Returns the listening socket or -1. */
static int listen_socket(const char *what, const char *address, int64_t port,
			 char **error_r)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t len;
	int fd, on = 1;

	memset(&addr, 0, sizeof(addr));
	if (inet_pton(AF_INET, address, &addr.in.sin_addr) == 1) {
		addr.in.sin_family = AF_INET;
		addr.in.sin_port = htons(port);
		len = sizeof(addr.in);
	} else {
		(void)inet_pton(AF_INET6, address, &addr.in6.sin6_addr);
		addr.in6.sin6_family = AF_INET6;
		addr.in6.sin6_port = htons(port);
		len = sizeof(addr.in6);
	}
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, &addr.sa, len) == 0 && listen(fd, SOMAXCONN) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
	    getsockname(fd, &addr.sa, &len) == 0) {
		log_info("%s on %s port %u", what, address,
			 ntohs(addr.sa.sa_family == AF_INET ?
			       addr.in.sin_port : addr.in6.sin6_port));
		return fd;
	}
	*error_r = x_asprintf("listen(%s, %lld): %s", address, (long long)port,
			      strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Returns how many connections there may be: what else needs a file gets one
   however many clients come. */
static unsigned int limit_connections(const struct config *config)
{
	rlim_t want = config->http_max_connections + FILES_EXTRA;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return config->http_max_connections;
	if (limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= want)
		return config->http_max_connections;
	want = limit.rlim_cur > FILES_EXTRA * 2 ?
		limit.rlim_cur - FILES_EXTRA : limit.rlim_cur / 2;
	log_warning("http.max_connections is more than the limit of open files "
		    "allows: it is %u now", (unsigned int)want);
	return want;
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

/* Takes the socket over. */
static bool start_listener(struct listener *listener, int fd,
			   const struct config *config,
			   unsigned int connections, unsigned int idle_timeout,
			   struct MHD_OptionItem *more, char **error_r)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNALLY | MHD_ALLOW_SUSPEND_RESUME |
			     MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_Daemon *daemon;

	if (more[0].option == MHD_OPTION_HTTPS_MEM_CERT)
		flags |= MHD_USE_TLS;
	daemon = MHD_start_daemon(flags, 0,
		listener->health ? NULL : http_clients_accept, NULL,
		handle, listener,
		MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, http_clients_notify, NULL,
		MHD_OPTION_CONNECTION_LIMIT, connections,
		MHD_OPTION_CONNECTION_TIMEOUT, idle_timeout,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)config->http_max_header,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	__atomic_store_n(&listener->daemon, daemon, __ATOMIC_RELEASE);
	if (daemon != NULL)
		return true;
	*error_r = x_strdup("the HTTP server did not start (is the "
			    "certificate valid?)");
	close(fd);
	return false;
}

/* Health and metrics. In the clear: there is nothing secret about them. */
static bool start_health(const struct config *config, char **error_r)
{
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		  HEALTH_CONNECTIONS_PER_ADDRESS, NULL },
		{ MHD_OPTION_END, 0, NULL }
	};
	int fd;

	if (config->http_health_port == 0)
		return true;
	fd = listen_socket("health and metrics", config->http_health_address,
			   config->http_health_port, error_r);
	return fd >= 0 &&
	       start_listener(&server.health, fd, config, HEALTH_CONNECTIONS,
			      HEALTH_IDLE_TIMEOUT, more, error_r);
}

static bool start_main(const struct config *config, char **error_r)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, config->tls_cert_pem },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, config->tls_key_pem },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL }
	};
	unsigned int connections = limit_connections(config);
	int fd;

	if (config->tls_cert_pem == NULL)
		tls[0].option = MHD_OPTION_END;
	fd = listen_socket("listening", config->http_address, config->http_port,
			   error_r);
	return fd >= 0 &&
	       start_listener(&server.main, fd, config, connections,
			      config->http_idle_timeout, tls, error_r);
}

static void stop_listener(struct listener *listener)
{
	if (listener->daemon != NULL)
		MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
}

bool http_server_start(const struct config *config, const struct http_api *api,
		       char **error_r)
{
	server.api = api;
	server.main.pool = worker_pool_start(config->http_workers,
					     config->http_queue);
	server.health.pool = worker_pool_start(HEALTH_WORKERS,
					       HEALTH_CONNECTIONS);
	server.logins = worker_pool_start(config->auth_logins,
					  config->auth_logins_queue);
	if (start_health(config, error_r) && start_main(config, error_r))
		return true;
	stop_workers();
	stop_listener(&server.health);
	free_workers();
	return false;
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
	stop_listener(&server.main);
	stop_listener(&server.health);
	free_workers();
	if (fd >= 0)
		close(fd);
}

static unsigned int count_connections(void)
{
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	/* the first request may come before MHD_start_daemon() returns */
	daemon = __atomic_load_n(&server.main.daemon, __ATOMIC_ACQUIRE);
	if (daemon == NULL)
		return 0;
	info = MHD_get_daemon_info(daemon,
				   MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info == NULL ? 0 : info->num_connections;
}

void http_server_gauges(struct metrics_gauges *gauges)
{
	gauges->connections = count_connections();
	gauges->queued = worker_pool_queued(server.main.pool);
	gauges->body_octets = http_body_total();
	gauges->logins_queued = worker_pool_queued(server.logins);
	gauges->logins_running = worker_pool_busy(server.logins) -
		gauges->logins_queued;
}
