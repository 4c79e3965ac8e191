#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "ioloop.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-private.h"
#include "recall-proxy-tls.h"

static bool server_is(const struct recall_proxy_server *server,
		      const struct recall_proxy_server *other)
{
	return strcmp(server->name, other->name) == 0 &&
		net_ip_compare(&server->ip, &other->ip) &&
		server->port == other->port && server->ssl == other->ssl &&
		server->starttls == other->starttls &&
		server->any_cert == other->any_cert;
}

struct recall_proxy_server *
recall_proxy_server_get(struct recall_proxy *proxy,
			const struct recall_proxy_server *wanted)
{
	struct recall_proxy_server *server;

	array_foreach_elem(&proxy->servers, server) {
		if (server_is(server, wanted))
			return server;
	}
	server = p_new(proxy->pool, struct recall_proxy_server, 1);
	*server = *wanted;
	server->proxy = proxy;
	server->rows = proxy->rows;
	server->event = recall_cmd_get_event(proxy->cctx);
	server->name = p_strdup(proxy->pool, wanted->name);
	server->hostname = p_strdup(proxy->pool, wanted->hostname);
	server->max_conns = I_MAX(doveadm_settings->doveadm_worker_count, 1);
	i_array_init(&server->conns, 2);
	i_array_init(&server->queue, RECALL_PROXY_QUEUE_MAX + 1);
	i_array_init(&server->pending, 16);
	i_array_init(&server->batches, 4);
	array_push_back(&proxy->servers, &server);
	return server;
}

static struct recall_proxy_request *
server_dequeue(struct recall_proxy_server *server)
{
	struct recall_proxy_request *request =
		array_idx_elem(&server->queue, 0);

	array_pop_front(&server->queue);
	return request;
}

static struct recall_proxy_conn *
server_find_idle(struct recall_proxy_server *server)
{
	struct recall_proxy_conn *conn, *idle = NULL;

	array_foreach_elem(&server->conns, conn) {
		if (recall_proxy_conn_is_idle(conn) &&
		    (idle == NULL || recall_proxy_conn_is_ready(conn)))
			idle = conn;
	}
	return idle;
}

/* Nobody takes a connection beyond the number of the server's processes: those
   that are taken have time for its request. */
static void server_rebalance(struct recall_proxy_server *server)
{
	struct recall_proxy_conn *conn, *idle;

	array_foreach_elem(&server->conns, conn) {
		idle = server_find_idle(server);
		if (idle == NULL || !recall_proxy_conn_is_ready(idle))
			break;
		if (!recall_proxy_conn_is_ready(conn) &&
		    !recall_proxy_conn_is_idle(conn))
			recall_proxy_conn_move(conn, idle);
	}
}

void recall_proxy_server_feed(struct recall_proxy_server *server)
{
	struct recall_proxy_request *request;
	struct recall_proxy_conn *idle;
	const char *error;

	while (array_count(&server->queue) > 0) {
		idle = server_find_idle(server);
		if (idle == NULL && server->error == NULL) {
			if (array_count(&server->conns) >=
			    server->max_conns)
				return;
			if (recall_proxy_conn_init(server, &idle, &error) < 0 &&
			    server->error == NULL) {
				server->error = i_strdup_printf(
					RECALL_ERROR_NODE"%s "
					RECALL_ERROR_NODE_UNREACHABLE" %s",
					server->name, error);
			}
		}
		if (idle == NULL && array_count(&server->conns) > 0)
			return;
		request = server_dequeue(server);
		if (idle != NULL) {
			recall_proxy_conn_send(idle, request);
			continue;
		}
		recall_proxy_request_lose(server, request, server->error);
	}
	server_rebalance(server);
}

void recall_proxy_server_prepend(struct recall_proxy_server *server,
				 const ARRAY_TYPE(recall_proxy_request)
				 *requests)
{
	array_insert(&server->queue, 0, array_front(requests),
		     array_count(requests));
	recall_proxy_server_feed(server);
}

void recall_proxy_server_add(struct recall_proxy_server *server,
			     struct recall_proxy_request *request)
{
	array_push_back(&server->queue, &request);
	recall_proxy_server_feed(server);
}

bool recall_proxy_server_is_busy(const struct recall_proxy_server *server)
{
	struct recall_proxy_conn *conn;

	if (array_count(&server->queue) > 0)
		return TRUE;
	array_foreach_elem(&server->conns, conn) {
		if (!recall_proxy_conn_is_idle(conn))
			return TRUE;
	}
	return FALSE;
}

static void
server_close(struct recall_proxy_server *server, const char *error)
{
	struct recall_proxy_conn *conn;

	while (array_count(&server->conns) > 0) {
		conn = array_idx_elem(&server->conns, 0);
		recall_proxy_conn_deinit(&conn, error);
	}
}

void recall_proxy_server_give_up(struct recall_proxy_server *server,
				 const char *error)
{
	struct recall_proxy_request *request;

	while (array_count(&server->queue) > 0) {
		recall_proxy_request_lose(server, server_dequeue(server),
					  error);
	}
	array_foreach_elem(&server->pending, request)
		recall_proxy_request_lose(server, request, error);
	array_clear(&server->pending);
	server_close(server, error);
}

void recall_proxy_server_deinit(struct recall_proxy_server *server)
{
	server_close(server, "");
	recall_proxy_tls_deinit(server);
	i_assert(array_count(&server->pending) == 0);
	i_assert(array_count(&server->batches) == 0);
	array_free(&server->pending);
	array_free(&server->batches);
	array_free(&server->conns);
	array_free(&server->queue);
	i_free(server->error);
}
