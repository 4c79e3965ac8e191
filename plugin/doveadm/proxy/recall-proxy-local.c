#include "lib.h"
#include "array.h"
#include "hash.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"

bool recall_proxy_connect_local(struct recall_proxy *proxy, unsigned int jobs)
{
	const struct recall_proxy_server wanted = {
		.name = doveadm_settings->doveadm_socket_path,
		.hostname = doveadm_settings->doveadm_socket_path,
	};
	struct recall_proxy_server *server =
		recall_proxy_server_get(proxy, &wanted);
	struct recall_proxy_conn *conn;
	const char *error;

	server->max_conns = jobs;
	server->quiet = !doveadm_verbose;
	if (recall_proxy_conn_init(server, &conn, &error) < 0)
		return FALSE;
	while (array_count(&server->conns) > 0 &&
	       !recall_proxy_conn_is_ready(array_idx_elem(&server->conns, 0)) &&
	       recall_proxy_wait(proxy)) ;
	if (array_count(&server->conns) == 0)
		return FALSE;
	proxy->local = server;
	return TRUE;
}

void recall_proxy_send_batch(struct recall_proxy *proxy,
			     struct recall_proxy_batch *batch)
{
	struct recall_proxy_request *request;

	request = recall_proxy_request_init(batch->users[0], batch->users[0]);
	request->batch = batch;
	recall_proxy_server_add(proxy->local, request);
}

bool recall_proxy_is_hungry(struct recall_proxy *proxy)
{
	return array_count(&proxy->local->queue) <= proxy->local->max_conns;
}
