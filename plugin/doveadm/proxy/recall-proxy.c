#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "ioloop.h"
#include "mail-storage-service.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"
#include "recall-proxy-route.h"
#include "recall-proxy.h"

/* How soon a signal is seen while nothing else happens. */
#define PROXY_KILLED_CHECK_MSECS 200

struct recall_proxy *
recall_proxy_init(const struct doveadm_cmd_context *cctx,
		  struct recall_rows *rows,
		  struct mail_storage_service_ctx *service,
		  const char *socket_path, const char *const *args,
		  const struct recall_proxy_callbacks *callbacks, void *context)
{
	struct recall_proxy *proxy;
	pool_t pool = pool_alloconly_create("recall proxy", 1024);

	proxy = p_new(pool, struct recall_proxy, 1);
	proxy->pool = pool;
	proxy->cctx = cctx;
	proxy->rows = rows;
	proxy->service = service;
	proxy->socket_path = socket_path;
	proxy->args = args;
	proxy->callbacks = callbacks;
	proxy->context = context;
	p_array_init(&proxy->servers, pool, 4);
	i_array_init(&proxy->lost, 4);
	i_array_init(&proxy->known, 16);
	hash_table_create(&proxy->requests, default_pool, 0, str_hash, strcmp);
	return proxy;
}

static void proxy_check_killed(struct recall_proxy *proxy)
{
	const char *error;

	if (proxy->callbacks->killed(&error))
		io_loop_stop(current_ioloop);
}

void recall_proxy_tell(struct recall_proxy *proxy)
{
	struct recall_proxy_server *server;

	array_foreach_elem(&proxy->servers, server)
		recall_proxy_nodes_tell(server);
	recall_proxy_tell_lost(proxy);
}

static void proxy_give_up(struct recall_proxy *proxy, const char *error)
{
	struct recall_proxy_server *server;

	array_foreach_elem(&proxy->servers, server)
		recall_proxy_server_give_up(server, error);
	recall_proxy_moves_give_up(proxy, error);
}

bool recall_proxy_wait(struct recall_proxy *proxy)
{
	struct timeout *to;
	const char *error;

	if (!proxy->callbacks->killed(&error)) {
		to = timeout_add_short(PROXY_KILLED_CHECK_MSECS,
				       proxy_check_killed, proxy);
		io_loop_run(current_ioloop);
		timeout_remove(&to);
	}
	if (!proxy->callbacks->killed(&error))
		return TRUE;
	proxy_give_up(proxy, error);
	return FALSE;
}

/* The user was asked for by another name: that answer is the one for this name,
   too. */
static void
proxy_repeat(struct recall_proxy *proxy, struct recall_proxy_request *request,
	     const char *username)
{
	struct recall_rows *rows = proxy->rows;
	const unsigned int username_idx =
		recall_rows_find(rows, RECALL_COLUMN_USERNAME);
	const char *error;
	unsigned int i;

	if (!proxy->callbacks->named)
		return;
	recall_proxy_send(proxy);
	while (!request->finished && recall_proxy_wait(proxy))
		recall_proxy_tell(proxy);
	recall_proxy_finish_row(proxy);
	error = request->error;
	if (error != NULL) {
		proxy->callbacks->lost(proxy->context, username, error);
		return;
	}
	/* none if the row was one to be left out */
	for (i = 0; array_is_created(&request->columns) &&
	     i < array_count(&request->columns); i++) {
		recall_rows_add(rows, i == username_idx ? username :
				array_idx_elem(&request->columns, i));
	}
	proxy->callbacks->done(proxy->context, username);
}

static int
proxy_get_node(const struct recall_proxy_route *route,
	       struct recall_proxy_server *wanted_r, const char **error_r)
{
	wanted_r->name = t_strdup_printf("%s:%u", route->host, route->port);
	wanted_r->hostname = route->host;
	wanted_r->port = route->port;
	wanted_r->ssl = route->ssl;
	wanted_r->starttls = route->starttls;
	wanted_r->any_cert = route->any_cert;
	if (route->hostip != NULL &&
	    net_addr2ip(route->hostip, &wanted_r->ip) < 0) {
		*error_r = t_strdup_printf(
			"The passdb's hostip is not an IP address: %s",
			route->hostip);
		return -1;
	}
	return 0;
}

/* The doveadm-server for users who are not proxied. */
static void
proxy_get_socket(const char *path, const struct recall_proxy_route *route,
		 struct recall_proxy_server *wanted_r)
{
	wanted_r->name = wanted_r->hostname = path;
	if (strchr(path, '/') != NULL)
		return;
	wanted_r->port = doveadm_settings->doveadm_port;
	if (net_str2hostport(path, wanted_r->port, &wanted_r->hostname,
			     &wanted_r->port) < 0)
		wanted_r->hostname = path;
	wanted_r->ssl = route->ssl;
	wanted_r->starttls = route->starttls;
}

/* Another node goes by its own settings: mail could be deleted that -o has a
   quarantine for. */
static int proxy_check_overrides(const struct recall_proxy_server *server,
				 const char **error_r)
{
	/* how this process reaches nodes, finds users, and logs */
	static const char *const own[] = {
		"doveadm_", "ssl_", "auth_", "base_dir=", "log_", "verbose_",
		"mail_debug=", "stats_", NULL
	};
	const char *name = recall_proxy_get_override(own);

	if (name == NULL)
		return 0;
	*error_r = t_strdup_printf("%s of -o would not hold on %s, where the "
				   "user is: ask there", name, server->name);
	return -1;
}

int recall_proxy_get_server(struct recall_proxy *proxy,
			    const struct recall_proxy_route *route,
			    struct recall_proxy_server **server_r,
			    const char **error_r)
{
	static const char *const none = NULL;
	struct recall_proxy_server wanted;
	const char *path = proxy->socket_path;

	i_zero(&wanted);
	if (route->proxying) {
		if (proxy_get_node(route, &wanted, error_r) < 0)
			return -1;
	} else {
		if (path == NULL && recall_proxy_get_override(&none) == NULL &&
		    doveadm_settings->doveadm_worker_count > 0)
			path = doveadm_settings->doveadm_socket_path;
		if (path == NULL || doveadm_server)
			return 0;
		proxy_get_socket(path, route, &wanted);
	}
	*server_r = recall_proxy_server_get(proxy, &wanted);
	return proxy_check_overrides(*server_r, error_r) < 0 ? -1 : 1;
}

int recall_proxy_announce(struct recall_proxy *proxy,
			  struct recall_proxy_server *server,
			  const struct recall_proxy_route *route,
			  const char **error_r)
{
	if (proxy->callbacks->node == NULL || !route->proxying ||
	    server->announced)
		return 0;
	if (proxy->callbacks->node(proxy->context,
				   recall_proxy_route_render(route),
				   error_r) < 0)
		return -1;
	server->announced = TRUE;
	return 0;
}

static void proxy_pause_over(bool *over)
{
	*over = TRUE;
	io_loop_stop(current_ioloop);
}

/* Goes on with others until it is the next user's turn. */
static void proxy_pause(struct recall_proxy *proxy)
{
	struct timeout *to;
	uint64_t usecs;
	bool over = FALSE;

	usecs = proxy->callbacks->pace == NULL ? 0 :
		proxy->callbacks->pace(proxy->context);
	if (usecs == 0)
		return;
	to = timeout_add_short((usecs + 999) / 1000, proxy_pause_over, &over);
	while (!over && recall_proxy_wait(proxy))
		recall_proxy_tell(proxy);
	timeout_remove(&to);
}

/* Whether this may be a proxy at all: doveadm_port may be set on every node. */
static bool
proxy_may_have_others(struct recall_proxy *proxy,
		      const struct mail_storage_service_input *input)
{
	bool ret = proxy->moves != NULL;

	if (!ret) T_BEGIN {
		proxy->callbacks->regain_root();
		ret = recall_proxy_route_may_have_others(proxy->service, input);
	} T_END;
	return ret;
}

int recall_proxy_user(struct recall_proxy *proxy,
		      const struct mail_storage_service_input *input,
		      bool *unknown_r, const char **error_r)
{
	struct recall_proxy_server *server;
	struct recall_proxy_request *request;
	struct recall_proxy_route route;
	int ret;

	*unknown_r = FALSE;
	if (recall_proxy_route_lookup(proxy->service, input, &route,
				      error_r) < 0)
		return -1;
	if (proxy->callbacks->local)
		return route.proxying ? 1 : 0;
	*unknown_r = route.unknown && proxy_may_have_others(proxy, input);
	ret = recall_proxy_get_server(proxy, &route, &server, error_r);
	if (ret <= 0)
		return ret;

	request = recall_proxy_request_find(proxy, server, route.user);
	if (request != NULL) {
		proxy_repeat(proxy, request, input->username);
		return 1;
	}
	if (recall_proxy_announce(proxy, server, &route, error_r) < 0)
		return -1;
	if (route.proxying)
		recall_proxy_moves_init(proxy, input);
	proxy_pause(proxy);
	request = recall_proxy_request_init(input->username, route.user);
	recall_proxy_request_remember(proxy, server, request);
	recall_proxy_nodes_add(server, request);
	while (array_count(&server->queue) > RECALL_PROXY_QUEUE_MAX &&
	       recall_proxy_wait(proxy))
		recall_proxy_tell(proxy);
	recall_proxy_tell(proxy);
	return 1;
}

int recall_proxy_node(struct recall_proxy *proxy, const char *node,
		      const char **error_r)
{
	struct recall_proxy_server wanted;
	struct recall_proxy_route route;

	recall_proxy_route_parse(node, &route);
	if (route.host == NULL) {
		*error_r = t_strdup_printf("This is no node: %s", node);
		return -1;
	}
	i_zero(&wanted);
	if (proxy_get_node(&route, &wanted, error_r) < 0)
		return -1;
	recall_proxy_server_add(recall_proxy_server_get(proxy, &wanted),
				recall_proxy_request_init(node, ""));
	return 0;
}

void recall_proxy_send(struct recall_proxy *proxy)
{
	struct recall_proxy_server *server;
	const char *error;

	if (proxy->callbacks->killed(&error)) {
		proxy_give_up(proxy, error);
		return;
	}
	array_foreach_elem(&proxy->servers, server)
		recall_proxy_nodes_send(server);
}

void recall_proxy_finish_row(struct recall_proxy *proxy)
{
	while (proxy->printer != NULL && recall_proxy_wait(proxy)) ;
	recall_proxy_tell(proxy);
}

static bool proxy_is_busy(struct recall_proxy *proxy)
{
	struct recall_proxy_server *server;

	array_foreach_elem(&proxy->servers, server) {
		if (recall_proxy_server_is_busy(server))
			return TRUE;
	}
	return recall_proxy_moves_are_asked(proxy);
}

void recall_proxy_flush(struct recall_proxy *proxy)
{
	recall_proxy_send(proxy);
	while (proxy_is_busy(proxy) && recall_proxy_wait(proxy))
		recall_proxy_tell(proxy);
	recall_proxy_finish_row(proxy);
	recall_proxy_requests_forget(proxy);
}

void recall_proxy_deinit(struct recall_proxy **_proxy)
{
	struct recall_proxy *proxy = *_proxy;
	struct recall_proxy_server *server;

	*_proxy = NULL;
	recall_proxy_flush(proxy);
	recall_proxy_moves_deinit(proxy);
	array_foreach_elem(&proxy->servers, server)
		recall_proxy_server_deinit(server);
	array_free(&proxy->lost);
	array_free(&proxy->known);
	hash_table_destroy(&proxy->requests);
	pool_unref(&proxy->pool);
}

bool recall_proxy_wants_row(struct recall_proxy *proxy)
{
	return proxy->callbacks->wants_row == NULL ||
		proxy->callbacks->wants_row(proxy->context);
}

void recall_proxy_row_printed(struct recall_proxy *proxy, bool mail)
{
	if (proxy->callbacks->row_printed != NULL)
		proxy->callbacks->row_printed(proxy->context, mail);
}

bool recall_proxy_begin_print(struct recall_proxy *proxy,
			      struct recall_proxy_conn *conn)
{
	struct recall_proxy_server *server;

	/* those who were asked for before come first */
	if (proxy->printer == NULL) {
		array_foreach_elem(&proxy->servers, server)
			recall_proxy_nodes_tell(server);
		proxy->printer = conn;
	}
	return proxy->printer == conn;
}

void recall_proxy_end_print(struct recall_proxy *proxy,
			    struct recall_proxy_conn *conn)
{
	struct recall_proxy_server *server;
	struct recall_proxy_conn *other;

	if (proxy->printer != conn)
		return;
	proxy->printer = NULL;
	array_foreach_elem(&proxy->servers, server) {
		array_foreach_elem(&server->conns, other)
			recall_proxy_conn_resume(other);
	}
}

/* What the server was doing has ended. */
static void proxy_go_on(struct recall_proxy_server *server)
{
	recall_proxy_server_feed(server);
	io_loop_stop(current_ioloop);
}

static void proxy_set_exit_code(struct recall_proxy *proxy, int exit_code)
{
	/* a node that refuses the command has no rows */
	if (exit_code == EX_USAGE)
		doveadm_exit_code = exit_code;
	else if (exit_code != 0)
		recall_rows_set_exit_code(proxy->rows, exit_code);
}

void recall_proxy_answered(struct recall_proxy_server *server,
			   struct recall_proxy_request *request, int exit_code,
			   const char *reason)
{
	struct recall_proxy *proxy = server->proxy;
	const char *error = NULL;

	/* as of a command that it does not know */
	if (exit_code != 0 && *reason == '\0')
		reason = "its log says why";
	if (recall_proxy_request_is_of_node(request)) {
		recall_proxy_nodes_answered(server, request->batch, exit_code);
		recall_proxy_request_free(request);
		proxy_go_on(server);
		return;
	}
	if (request->batch != NULL) {
		/* rows say what went wrong, unless there are none at all */
		if (exit_code == EX_USAGE || (exit_code != 0 &&
		    array_is_empty(&request->batch->columns))) {
			error = t_strdup_printf(
				"%s failed the command: %s",
				server->name, reason);
		}
		proxy_set_exit_code(proxy, exit_code);
		recall_proxy_request_finish(proxy, request, error);
	} else if (exit_code != 0 && exit_code != EX_USAGE &&
		   request->rows == 0) {
		recall_proxy_request_lose(server, request, t_strdup_printf(
			"Node %s failed the command: %s", server->name,
			reason));
	} else if (proxy->callbacks->one_row && request->rows > 1) {
		recall_proxy_request_lose(server, request, t_strdup_printf(
			"Node %s answers more than once", server->name));
	} else if (exit_code == 0 && request->rows == 0 &&
		   proxy->callbacks->all_have_rows) {
		recall_proxy_request_lose(server, request, t_strdup_printf(
			"Node %s has no answer", server->name));
	} else {
		recall_proxy_request_answered(server, request, exit_code);
	}
	proxy_go_on(server);
}

bool recall_proxy_postpone(struct recall_proxy_server *server,
			   struct recall_proxy_request *request)
{
	if (server != server->proxy->local || array_is_empty(&server->conns))
		return FALSE;
	/* the server has no more processes than these */
	server->max_conns = array_count(&server->conns);
	if (request != NULL)
		array_push_front(&server->queue, &request);
	proxy_go_on(server);
	return TRUE;
}

void recall_proxy_lost(struct recall_proxy_server *server,
		       struct recall_proxy_request *request, bool partial,
		       const char *error)
{
	struct recall_proxy *proxy = server->proxy;
	const char *killed;

	if (recall_proxy_request_is_of_node(request)) {
		recall_proxy_nodes_lost(server, request->batch,
					!proxy->callbacks->killed(&killed),
					error);
		recall_proxy_request_free(request);
		proxy_go_on(server);
		return;
	}
	if (request->batch != NULL) {
		i_error("%s", error);
		recall_proxy_request_finish(proxy, request, error);
		proxy_go_on(server);
		return;
	}
	if (!partial && (request->rows == 0 || !proxy->callbacks->one_row)) {
		recall_proxy_request_lose(server, request, error);
	} else {
		/* a partial row has been completed: it's as good as any */
		i_error("%s: %s", request->username, error);
		if (partial)
			request->rows++;
		recall_proxy_request_answered(server, request, EX_TEMPFAIL);
	}
	proxy_go_on(server);
}
