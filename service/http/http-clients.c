#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "http-clients.h"
#include "log.h"
#include "util.h"

struct client {
	struct client *prev, *next;
	int fd;
	/* waiting for a head since then; 0 while a request is worked on */
	int64_t since;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;

static struct client *client_new(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	struct client *client = x_calloc(1, sizeof(*client));

	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	client->fd = info == NULL ? -1 : info->connect_fd;
	client->since = now_ms();
	client->next = clients;
	if (clients != NULL)
		clients->prev = client;
	clients = client;
	return client;
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
	pthread_mutex_lock(&lock);
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = client_new(connection);
	} else if (*socket_context != NULL) {
		/* the socket is closed after this */
		client_free(*socket_context);
		*socket_context = NULL;
	}
	pthread_mutex_unlock(&lock);
}

void http_clients_busy(struct MHD_Connection *connection, bool busy)
{
	const union MHD_ConnectionInfo *info;
	struct client *client;

	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (info == NULL || info->socket_context == NULL)
		return;
	client = info->socket_context;
	pthread_mutex_lock(&lock);
	client->since = busy ? 0 : now_ms();
	pthread_mutex_unlock(&lock);
}

void http_clients_drop(int64_t max_ms)
{
	struct client *client;
	int64_t now = now_ms();
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	for (client = clients; client != NULL; client = client->next) {
		if (client->since == 0 || now - client->since <= max_ms)
			continue;
		/* libmicrohttpd finds out, and closes it */
		if (client->fd >= 0)
			(void)shutdown(client->fd, SHUT_RDWR);
		client->since = now;
		n++;
	}
	pthread_mutex_unlock(&lock);
	if (n > 0)
		log_info("%u clients were too slow to send a request", n);
}
