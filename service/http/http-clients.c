#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "clock.h"
#include "http-clients.h"
#include "http-source.h"
#include "log.h"
#include "network.h"

struct client {
	struct client *prev, *next;
	int fd;
	char network[INET6_ADDRSTRLEN];
	/* 0 while a request is worked on */
	int64_t until;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;

/* Clients may be silent for a while before they begin with a request. */
static int64_t head_until(void)
{
	struct config *config = config_current();
	int64_t ms = (config->http_idle_timeout +
		      config->http_request_timeout) * 1000;

	config_unref(config);
	return now_ms() + ms;
}

static void print_network(const struct sockaddr *sa,
			  char network[INET6_ADDRSTRLEN])
{
	char address[INET6_ADDRSTRLEN];

	http_source_print(sa, address);
	network_print(address, network);
}

enum MHD_Result http_clients_accept(void *context, const struct sockaddr *sa,
				    socklen_t len)
{
	struct config *config = config_current();
	char address[INET6_ADDRSTRLEN], network[INET6_ADDRSTRLEN];
	int64_t max = config->http_max_connections_per_address, n = 0;
	struct client *client;

	(void)context;
	(void)len;
	http_source_print(sa, address);
	if (http_source_is_proxy(config, address))
		max = 0;
	config_unref(config);
	if (max == 0)
		return MHD_YES;
	print_network(sa, network);
	pthread_mutex_lock(&lock);
	for (client = clients; client != NULL; client = client->next) {
		if (strcmp(client->network, network) == 0)
			n++;
	}
	pthread_mutex_unlock(&lock);
	if (n < max)
		return MHD_YES;
	log_debug("%s has too many connections", network);
	return MHD_NO;
}

static struct client *client_new(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	struct client *client = x_calloc(1, sizeof(*client));

	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	client->fd = info == NULL ? -1 : info->connect_fd;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && info->client_addr != NULL)
		print_network(info->client_addr, client->network);
	client->until = head_until();
	return client;
}

static void client_add(struct client *client)
{
	client->next = clients;
	if (clients != NULL)
		clients->prev = client;
	clients = client;
}

static void client_free(struct client *client)
{
	if (client->prev != NULL)
		client->prev->next = client->next;
	else
		clients = client->next;
	if (client->next != NULL)
		client->next->prev = client->prev;
	free(client);
}

void http_clients_notify(void *context, struct MHD_Connection *connection,
			 void **socket_context,
			 enum MHD_ConnectionNotificationCode what)
{
	(void)context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*socket_context = client_new(connection);
	if (*socket_context == NULL)
		return;
	pthread_mutex_lock(&lock);
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		client_add(*socket_context);
	} else {
		/* the socket is closed after this */
		client_free(*socket_context);
		*socket_context = NULL;
	}
	pthread_mutex_unlock(&lock);
}

static void set_until(struct MHD_Connection *connection, int64_t until)
{
	const union MHD_ConnectionInfo *info;
	struct client *client;

	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (info == NULL || info->socket_context == NULL)
		return;
	client = info->socket_context;
	pthread_mutex_lock(&lock);
	client->until = until;
	pthread_mutex_unlock(&lock);
}

void http_clients_working(struct MHD_Connection *connection)
{
	set_until(connection, 0);
}

void http_clients_expect(struct MHD_Connection *connection, int64_t max_ms)
{
	set_until(connection, now_ms() + max_ms);
}

void http_clients_waiting(struct MHD_Connection *connection)
{
	set_until(connection, head_until());
}

void http_clients_drop(void)
{
	struct client *client;
	int64_t now = now_ms();
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	for (client = clients; client != NULL; client = client->next) {
		if (client->until == 0 || now <= client->until)
			continue;
		/* libmicrohttpd finds out, and closes it */
		if (client->fd >= 0)
			(void)shutdown(client->fd, SHUT_RDWR);
		client->until = 0;
		n++;
	}
	pthread_mutex_unlock(&lock);
	if (n > 0)
		log_info("%u clients were too slow to send a request, or to "
			 "take an answer", n);
}
