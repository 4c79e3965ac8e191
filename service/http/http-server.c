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

#include "actions.h"
#include "audit.h"
#include "http-clients.h"
#include "http-reply.h"
#include "http-request.h"
#include "http-routes.h"
#include "http-server.h"
#include "log.h"
#include "metrics.h"
#include "worker.h"

/* files beside client connections: doveadm, the journal, logs */
#define FILES_EXTRA 256
/* how long answers may take to leave when the server stops */
#define FLUSH_MS 5000
#define RETRY_AFTER_FULL 5
/* what is kept of a body before it is known who sends it */
#define STRANGER_BODY_MAX 65536
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
		       "%SERVER_PRECEDENCE"

static struct {
	struct MHD_Daemon *daemon;
	struct worker_pool *pool;
	unsigned int active;
} server;

/* What is done for every request before its answer leaves. */
static void conclude(struct http_request *request)
{
	audit_refused(request);
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

	response = MHD_create_response_from_buffer(request->reply_len,
						   request->reply,
						   MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
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

static void work(void *context)
{
	struct http_request *request = context;
	struct MHD_Connection *connection = request->connection;

	if (http_request_parse(request))
		http_route_run(request);
	conclude(request);
	__atomic_store_n(&request->replied, true, __ATOMIC_RELEASE);
	MHD_resume_connection(connection);
}

static char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection,
							MHD_HEADER_KIND, name);

	return value == NULL ? NULL : x_strdup(value);
}

static enum MHD_Result
add_header(void *context, enum MHD_ValueKind kind, const char *name,
	   const char *value)
{
	struct strlist *list = context;

	(void)kind;
	if (strcasecmp(name, list->items[0]) == 0 && value != NULL)
		strlist_add(list, value);
	return MHD_YES;
}

/* A header that may come in several lines, which make one list (RFC 9110,
   5.3). */
static char *list_header(struct MHD_Connection *connection, const char *name)
{
	struct strlist list = { NULL, 0, 0 };
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	strlist_add(&list, name);
	MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header,
				  &list);
	for (i = 1; i < list.count; i++)
		strbuf_addf(&b, "%s%s", i == 1 ? "" : ", ", list.items[i]);
	strlist_free(&list);
	return b.data;
}

/* The last hop that is not one of our own proxies. Each proxy adds the address
   it was asked from at the end. */
static void forwarded_source(struct http_request *request)
{
	struct strlist proxies = { NULL, 0, 0 }, hops = { NULL, 0, 0 };
	struct in6_addr addr;
	char *value;
	size_t i;

	strlist_split(&proxies, request->config->http_trusted_proxies);
	value = list_header(request->connection, "X-Forwarded-For");
	if (value != NULL)
		strlist_split(&hops, value);
	free(value);
	for (;;) {
		const char *hop;

		for (i = 0; i < proxies.count; i++) {
			if (strcmp(proxies.items[i], request->source) == 0)
				break;
		}
		if (i == proxies.count || hops.count == 0)
			break;
		hop = hops.items[hops.count - 1];
		/* what the proxy says is not understood; what stands before it
		   may be the client's invention */
		if (inet_pton(AF_INET, hop, &addr) != 1 &&
		    inet_pton(AF_INET6, hop, &addr) != 1)
			break;
		snprintf(request->source, sizeof(request->source), "%s", hop);
		free(hops.items[--hops.count]);
	}
	strlist_free(&proxies);
	strlist_free(&hops);
}

/* An IPv4 address that came in over a socket of IPv6 is written as the settings
   and other hops have it. */
static void print_source(const struct sockaddr *sa, char *out, size_t size)
{
	const struct in6_addr *in6 = &((struct sockaddr_in6 *)sa)->sin6_addr;

	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)sa)->sin_addr, out,
			  size);
	else if (IN6_IS_ADDR_V4MAPPED(in6))
		inet_ntop(AF_INET, &in6->s6_addr[12], out, size);
	else
		inet_ntop(AF_INET6, in6, out, size);
}

static void set_source(struct http_request *request)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(request->connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info == NULL || info->client_addr == NULL)
		return;
	print_source(info->client_addr, request->source,
		     sizeof(request->source));
	if (*request->config->http_trusted_proxies != '\0')
		forwarded_source(request);
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
begin_request(struct http_request *request, const char *method)
{
	const char *allow;

	set_source(request);
	request->authorization = header(request->connection, "Authorization");
	request->content_type = header(request->connection, "Content-Type");
	request->prefer = list_header(request->connection, "Prefer");
	request->idempotency_key = list_header(request->connection,
					       "Idempotency-Key");
	if (is_smuggled(request)) {
		http_reply_message(request, 400, "The body has two lengths");
		http_reply_header(request, "Connection", "close");
		return reply_now(request);
	}
	request->route = http_route_find(method, request->path, &allow);
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
	int64_t elapsed = now_ms() - request->started;
	size_t max = request->config->http_max_body;

	/* a client that sends an octet now and then, or far too many: the
	   connection is closed */
	if (elapsed > request->config->http_request_timeout * 1000)
		return MHD_NO;
	if (request->too_large || request->body.len + size > max) {
		request->too_large = true;
		request->body.len += size;
		return request->body.len > max * 2 ? MHD_NO : MHD_YES;
	}
	if (!request->known && request->body.len + size > STRANGER_BODY_MAX) {
		request->known = action_is_known(request);
		request->stranger = !request->known;
		if (request->stranger) {
			request->too_large = true;
			request->body.len += size;
			return MHD_YES;
		}
	}
	strbuf_add(&request->body, data, size);
	return MHD_YES;
}

/* The body was not kept. */
static enum MHD_Result refuse_body(struct http_request *request)
{
	request->body.len = 0;
	/* a login's is short, whoever it is */
	if (!request->stranger || request->route->auth == HTTP_AUTH_NONE ||
	    action_authenticate(request, false))
		http_reply_message(request, 413, "The body is too large");
	return reply_now(request);
}

static enum MHD_Result dispatch(struct http_request *request)
{
	if (request->too_large)
		return refuse_body(request);
	if (request->route->inlined) {
		http_route_run(request);
		return reply_now(request);
	}
	MHD_suspend_connection(request->connection);
	if (!worker_pool_add(server.pool, work, request)) {
		http_reply_later(request, 503, "The service is busy",
				 RETRY_AFTER_FULL);
		conclude(request);
		__atomic_store_n(&request->replied, true, __ATOMIC_RELEASE);
		MHD_resume_connection(request->connection);
	}
	return MHD_YES;
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *url,
       const char *method, const char *version, const char *data,
       size_t *size, void **con_cls)
{
	struct http_request *request = *con_cls;
	enum MHD_Result ret;

	(void)context;
	(void)version;
	if (request == NULL) {
		request = http_request_new();
		request->connection = connection;
		request->config = config_current();
		request->path = x_strdup(url);
		request->started = now_ms();
		*con_cls = request;
		__atomic_add_fetch(&server.active, 1, __ATOMIC_RELAXED);
		http_clients_busy(connection, true);
		return begin_request(request, method);
	}
	if (*size > 0) {
		ret = add_body(request, data, *size);
		*size = 0;
		return ret;
	}
	if (__atomic_load_n(&request->replied, __ATOMIC_ACQUIRE))
		return send_reply(request);
	return dispatch(request);
}

static void completed(void *context, struct MHD_Connection *connection,
		      void **con_cls, enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)code;
	http_clients_busy(connection, false);
	if (*con_cls == NULL)
		return;
	http_request_free(*con_cls);
	*con_cls = NULL;
	__atomic_sub_fetch(&server.active, 1, __ATOMIC_RELAXED);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p;

	if (c >= 'A' && c <= 'F')
		c += 'a' - 'A';
	p = c == '\0' ? NULL : strchr(digits, c);
	return p == NULL ? -1 : (int)(p - digits);
}

/* Decodes a part of the URL in place. What is no escape, and a NUL, leaves
   nothing at all: half-read, it would name something else. */
static size_t
unescape(void *context, struct MHD_Connection *connection, char *s)
{
	char *in = s, *out = s;
	int high, low;

	(void)context;
	(void)connection;
	while (*in != '\0') {
		if (*in != '%') {
			*out++ = *in++;
			continue;
		}
		high = hex_digit(in[1]);
		low = high < 0 ? -1 : hex_digit(in[2]);
		if (low < 0 || (high == 0 && low == 0)) {
			*s = '\0';
			return 0;
		}
		*out++ = (char)(high << 4 | low);
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
static int listen_socket(const struct config *config, char **error_r)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t len;
	int fd, on = 1;

	memset(&addr, 0, sizeof(addr));
	if (inet_pton(AF_INET, config->http_address, &addr.in.sin_addr) == 1) {
		addr.in.sin_family = AF_INET;
		addr.in.sin_port = htons(config->http_port);
		len = sizeof(addr.in);
	} else {
		(void)inet_pton(AF_INET6, config->http_address,
				&addr.in6.sin6_addr);
		addr.in6.sin6_family = AF_INET6;
		addr.in6.sin6_port = htons(config->http_port);
		len = sizeof(addr.in6);
	}
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, &addr.sa, len) == 0 && listen(fd, SOMAXCONN) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
	    getsockname(fd, &addr.sa, &len) == 0) {
		log_info("listening on %s port %u", config->http_address,
			 ntohs(addr.sa.sa_family == AF_INET ?
			       addr.in.sin_port : addr.in6.sin6_port));
		return fd;
	}
	*error_r = x_asprintf("listen(%s, %lld): %s", config->http_address,
			      (long long)config->http_port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void raise_file_limit(const struct config *config)
{
	struct rlimit limit;
	rlim_t want = config->http_max_connections + FILES_EXTRA;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < want)
		log_warning("http.max_connections is more than the limit of "
			    "open files allows");
}

bool http_server_start(const struct config *config, char **error_r)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNALLY | MHD_ALLOW_SUSPEND_RESUME |
			     MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, config->tls_cert_pem },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, config->tls_key_pem },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL }
	};
	struct MHD_Daemon *daemon;
	int fd;

	if (config->tls_cert_pem != NULL)
		flags |= MHD_USE_TLS;
	else
		tls[0].option = MHD_OPTION_END;
	raise_file_limit(config);
	fd = listen_socket(config, error_r);
	if (fd < 0)
		return false;
	server.pool = worker_pool_start(config->http_workers,
					config->http_queue);
	daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL,
		MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, http_clients_notify, NULL,
		MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)config->http_max_connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)config->http_max_connections_per_address,
		MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)config->http_idle_timeout,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)config->http_max_header,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	__atomic_store_n(&server.daemon, daemon, __ATOMIC_RELEASE);
	if (daemon != NULL)
		return true;
	*error_r = x_strdup("the HTTP server did not start (is the "
			    "certificate valid?)");
	worker_pool_stop(server.pool);
	worker_pool_free(server.pool);
	close(fd);
	return false;
}

void http_server_stop(void)
{
	int64_t until;
	int fd;

	fd = MHD_quiesce_daemon(server.daemon);
	worker_pool_stop(server.pool);
	until = now_ms() + FLUSH_MS;
	while (__atomic_load_n(&server.active, __ATOMIC_RELAXED) > 0 &&
	       now_ms() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	MHD_stop_daemon(server.daemon);
	worker_pool_free(server.pool);
	if (fd >= 0)
		close(fd);
}

unsigned int http_server_connections(void)
{
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	/* the first request may come before MHD_start_daemon() returns */
	daemon = __atomic_load_n(&server.daemon, __ATOMIC_ACQUIRE);
	if (daemon == NULL)
		return 0;
	info = MHD_get_daemon_info(daemon,
				   MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info == NULL ? 0 : info->num_connections;
}

unsigned int http_server_queued(void)
{
	return worker_pool_queued(server.pool);
}
