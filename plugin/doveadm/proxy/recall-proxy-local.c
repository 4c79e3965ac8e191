#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "master-service-private.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"
#include "recall-proxy.h"

const char *recall_proxy_get_override(const char *const *but)
{
	const char *override, *const *prefix;

	if (!array_is_created(&master_service->config_overrides))
		return NULL;
	array_foreach_elem(&master_service->config_overrides, override) {
		for (prefix = but; *prefix != NULL; prefix++) {
			if (str_begins_with(override, *prefix))
				break;
		}
		if (*prefix == NULL)
			return t_strcut(override, '=');
	}
	return NULL;
}

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
