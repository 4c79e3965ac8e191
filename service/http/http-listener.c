#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "http-certificate.h"
#include "http-clients.h"
#include "http-form.h"
#include "http-listener.h"
#include "log.h"

/* files beside client connections: doveadm, the journal, logs */
#define FILES_EXTRA 256
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
		       "%SERVER_PRECEDENCE"

#define HEALTH_CONNECTIONS_PER_ADDRESS 16
#define HEALTH_IDLE_TIMEOUT 10

/* What is no escape, and a NUL, makes of a part of the URL what is none:
   half-read, it would name something else, and a filter that is left out would
   show more. */
#define NO_TEXT "\xff"
static size_t
unescape(void *context, struct MHD_Connection *connection, char *s)
{
	bool broken;
	size_t len = http_url_decode(s, strlen(s), false, &broken);

	(void)context;
	(void)connection;
	/* it had a "%" at least */
	if (broken || memchr(s, '\0', len) != NULL) {
		len = strlen(NO_TEXT);
		memcpy(s, NO_TEXT, len);
	}
	s[len] = '\0';
	return len;
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

/* Takes the socket over. */
static bool start_listener(struct http_listener *listener, int fd,
			   const struct config *config,
			   unsigned int connections, unsigned int idle_timeout,
			   struct MHD_OptionItem *more,
			   MHD_AccessHandlerCallback handle,
			   MHD_RequestCompletedCallback completed,
			   char **error_r)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNALLY |
		MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_Daemon *daemon;

	if (more[0].option == MHD_OPTION_HTTPS_CERT_CALLBACK2)
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
	*error_r = x_strdup("the HTTP server did not start");
	close(fd);
	return false;
}

bool http_listener_start_health(struct http_listener *listener,
				const struct config *config,
				MHD_AccessHandlerCallback handle,
				MHD_RequestCompletedCallback completed,
				char **error_r)
{
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		  HEALTH_CONNECTIONS_PER_ADDRESS, NULL },
		{ MHD_OPTION_END, 0, NULL }
	};
	int fd;

	listener->health = true;
	if (config->http_health_port == 0)
		return true;
	fd = listen_socket("health and metrics", config->http_health_address,
			   config->http_health_port, error_r);
	return fd >= 0 &&
	       start_listener(listener, fd, config, HTTP_HEALTH_CONNECTIONS,
			      HEALTH_IDLE_TIMEOUT, more, handle, completed,
			      error_r);
}

bool http_listener_start(struct http_listener *listener,
			 const struct config *config,
			 MHD_AccessHandlerCallback handle,
			 MHD_RequestCompletedCallback completed,
			 char **error_r)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0,
		  (void *)http_certificate_retrieve },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL }
	};
	unsigned int connections = limit_connections(config);
	int fd;

	if (config->tls_cert_pem == NULL)
		tls[0].option = MHD_OPTION_END;
	else if (!http_certificate_set(config, error_r))
		return false;
	fd = listen_socket("listening", config->http_address, config->http_port,
			   error_r);
	return fd >= 0 &&
	       start_listener(listener, fd, config, connections,
			      config->http_idle_timeout, tls, handle,
			      completed, error_r);
}

void http_listener_stop(struct http_listener *listener)
{
	if (listener->daemon != NULL)
		MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
}

unsigned int http_listener_count(const struct http_listener *listener)
{
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	/* the first request may come before MHD_start_daemon() returns */
	daemon = __atomic_load_n(&listener->daemon, __ATOMIC_ACQUIRE);
	if (daemon == NULL)
		return 0;
	info = MHD_get_daemon_info(daemon,
				   MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info == NULL ? 0 : info->num_connections;
}
