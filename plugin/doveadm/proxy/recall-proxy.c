#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "ioloop.h"
#include "str.h"
#include "strescape.h"
#include "auth-master.h"
#include "master-service.h"
#include "mail-storage-service.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-conn.h"
#include "recall-proxy-tls.h"
#include "recall-proxy.h"

/* Users who wait for a node before others are looked at. */
#define PROXY_QUEUE_MAX 16
/* How soon a signal is seen while nothing else happens. */
#define PROXY_KILLED_CHECK_MSECS 200

struct proxy_lost_user {
	char *username, *error;
};

struct recall_proxy {
	pool_t pool;
	const struct doveadm_cmd_context *cctx;
	struct recall_rows *rows;
	struct mail_storage_service_ctx *service;
	const char *socket_path;
	const char *const *args;
	const struct recall_proxy_callbacks *callbacks;
	void *context;

	ARRAY(struct recall_proxy_server *) servers;
	/* the connection of which a row has come in part */
	struct recall_proxy_conn *printer;
	/* one_row: "<server> <user over there>" => what was asked there */
	HASH_TABLE(char *, struct recall_proxy_request *) requests;
	/* the doveadm-server that takes batches */
	struct recall_proxy_server *local;
	/* users to be reported as soon as a row may be printed */
	ARRAY(struct proxy_lost_user) lost;
};

/* Where a user's mail is. */
struct proxy_route {
	const char *user, *host, *hostip;
	in_port_t port;
	bool proxying, ssl, starttls, any_cert;
};

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
	hash_table_create(&proxy->requests, default_pool, 0, str_hash, strcmp);
	return proxy;
}

static void route_set_field(struct proxy_route *route, const char *field)
{
	const char *value = strchr(field, '=');
	const char *key = value == NULL ? field : t_strdup_until(field, value);

	value = value == NULL ? "" : value + 1;
	if (str_begins_with(key, "proxy") && key[5] == '\0')
		route->proxying = TRUE;
	else if (strcmp(key, "host") == 0)
		route->host = t_strdup(value);
	else if (strcmp(key, "hostip") == 0)
		route->hostip = t_strdup(value);
	else if (strcmp(key, "user") == 0 || strcmp(key, "destuser") == 0)
		route->user = t_strdup(value);
	else if (strcmp(key, "port") == 0) {
		if (net_str2port(value, &route->port) < 0)
			route->port = 0;
	} else if (strcmp(key, "ssl") == 0 || strcmp(key, "starttls") == 0) {
		route->ssl = TRUE;
		if (strcmp(key, "starttls") == 0)
			route->starttls = TRUE;
		if (strcmp(value, "any-cert") == 0)
			route->any_cert = TRUE;
	}
}

/* Asks the passdb. Returns -1 if it fails. */
static int
proxy_get_route(struct recall_proxy *proxy,
		const struct mail_storage_service_input *input,
		struct proxy_route *route_r, const char **error_r)
{
	struct auth_master_connection *auth;
	struct auth_user_info info;
	const char *const *fields;
	pool_t pool;
	int ret;

	i_zero(route_r);
	route_r->user = input->username;
	route_r->port = doveadm_settings->doveadm_port;
	if (route_r->port == 0)
		return 0;
	route_r->starttls =
		strcmp(doveadm_settings->doveadm_ssl, "starttls") == 0;
	route_r->ssl = route_r->starttls ||
		strcmp(doveadm_settings->doveadm_ssl, "ssl") == 0;

	/* only this makes the connection to auth */
	mail_storage_service_init_settings(proxy->service, input);
	auth = mail_storage_service_get_auth_conn(proxy->service);
	i_zero(&info);
	recall_auth_info_set_service(&info,
		master_service_get_name(master_service));
	info.local_ip = input->local_ip;
	info.remote_ip = input->remote_ip;
	info.local_port = input->local_port;
	info.remote_port = input->remote_port;
	pool = pool_alloconly_create("recall passdb lookup", 1024);
	ret = auth_master_pass_lookup(auth, input->username, &info, pool,
				      &fields);
	if (ret < 0) {
		*error_r = t_strdup_printf(
			"%s: %s (doveadm_port is set, so users may be proxied)",
			auth_master_get_socket_path(auth),
			fields[0] != NULL ? fields[0] :
			"The passdb lookup failed");
	}
	for (; ret > 0 && *fields != NULL; fields++)
		route_set_field(route_r, *fields);
	pool_unref(&pool);
	if (ret >= 0 && route_r->proxying && route_r->host == NULL) {
		*error_r = "The passdb names no host to proxy to";
		ret = -1;
	}
	return ret < 0 ? -1 : 0;
}

static struct recall_proxy_server *
proxy_get_server(struct recall_proxy *proxy, const char *name)
{
	struct recall_proxy_server *server;
	const char *p;

	array_foreach_elem(&proxy->servers, server) {
		if (strcmp(server->name, name) == 0)
			return server;
	}
	server = p_new(proxy->pool, struct recall_proxy_server, 1);
	server->proxy = proxy;
	server->rows = proxy->rows;
	server->event = recall_cmd_get_event(proxy->cctx);
	server->name = p_strdup(proxy->pool, name);
	p = strrchr(server->name, ':');
	server->hostname = p == NULL ? server->name :
		p_strdup_until(proxy->pool, server->name, p);
	server->max_conns = I_MAX(doveadm_settings->doveadm_worker_count, 1);
	i_array_init(&server->conns, 2);
	i_array_init(&server->queue, PROXY_QUEUE_MAX + 1);
	array_push_back(&proxy->servers, &server);
	return server;
}

static void proxy_request_free(struct recall_proxy_request *request)
{
	char *column;

	if (array_is_created(&request->columns)) {
		array_foreach_elem(&request->columns, column)
			i_free(column);
		array_free(&request->columns);
	}
	i_free(request->error);
	i_free(request->username);
	i_free(request->remote_username);
	i_free(request);
}

/* error is NULL if it was answered. */
static void
proxy_request_finish(struct recall_proxy *proxy,
		     struct recall_proxy_request *request, const char *error)
{
	struct recall_proxy_batch *batch = request->batch;

	if (batch != NULL) {
		batch->error = p_strdup(batch->pool, error);
		batch->finished = TRUE;
		proxy_request_free(request);
		return;
	}
	if (!proxy->callbacks->one_row) {
		proxy_request_free(request);
		return;
	}
	/* another name of the same user may come */
	request->error = i_strdup(error);
	request->finished = TRUE;
}

static void proxy_forget_requests(struct recall_proxy *proxy)
{
	struct hash_iterate_context *iter;
	struct recall_proxy_request *request;
	char *key;

	iter = hash_table_iterate_init(proxy->requests);
	while (hash_table_iterate(iter, proxy->requests, &key, &request)) {
		proxy_request_free(request);
		i_free(key);
	}
	hash_table_iterate_deinit(&iter);
	hash_table_clear(proxy->requests, FALSE);
}

/* Calls back for those who were lost, unless that has to wait. */
static void proxy_tell_lost(struct recall_proxy *proxy)
{
	struct proxy_lost_user user;

	while (proxy->printer == NULL && array_count(&proxy->lost) > 0) {
		user = *array_front(&proxy->lost);
		array_pop_front(&proxy->lost);
		proxy->callbacks->lost(proxy->context, user.username,
				       user.error);
		i_free(user.username);
		i_free(user.error);
	}
}

static void
proxy_add_lost(struct recall_proxy *proxy, const char *username,
	       const char *error)
{
	struct proxy_lost_user *user = array_append_space(&proxy->lost);

	user->username = i_strdup(username);
	user->error = i_strdup(error);
}

static void
proxy_request_lose(struct recall_proxy *proxy,
		   struct recall_proxy_request *request, const char *error)
{
	if (request->batch == NULL)
		proxy_add_lost(proxy, request->username, error);
	proxy_request_finish(proxy, request, error);
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

/* Gives those who wait to connections, as far as there are any. */
static void server_feed(struct recall_proxy_server *server)
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
		proxy_request_lose(server->proxy, request, server->error);
	}
	server_rebalance(server);
}

static void proxy_check_killed(struct recall_proxy *proxy)
{
	const char *error;

	if (proxy->callbacks->killed(&error))
		io_loop_stop(current_ioloop);
}

/* Runs until something has happened. Returns FALSE if there's no more waiting
   for anything. */
static bool proxy_wait(struct recall_proxy *proxy)
{
	struct recall_proxy_server *server;
	struct recall_proxy_conn *conn;
	struct recall_proxy_request *request;
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
	array_foreach_elem(&proxy->servers, server) {
		while (array_count(&server->queue) > 0) {
			request = server_dequeue(server);
			proxy_request_lose(proxy, request, error);
		}
		while (array_count(&server->conns) > 0) {
			conn = array_idx_elem(&server->conns, 0);
			recall_proxy_conn_deinit(&conn, error);
		}
	}
	return FALSE;
}

/* The user was asked for by another name: that answer is the one for this name,
   too. */
static void
proxy_repeat(struct recall_proxy *proxy, struct recall_proxy_request *request,
	     const char *username)
{
	struct recall_rows *rows = proxy->rows;
	const unsigned int count = recall_rows_get_count(rows);
	const unsigned int username_idx =
		recall_rows_find(rows, RECALL_COLUMN_USERNAME);
	const char *error;
	unsigned int i;

	while (!request->finished && proxy_wait(proxy)) ;
	recall_proxy_finish_row(proxy);
	if (!proxy->callbacks->named)
		return;
	error = request->error;
	if (error == NULL && array_count(&request->columns) > 0 &&
	    array_count(&request->columns) != count) {
		/* some were too long to be kept */
		error = t_strdup_printf("Answered for as %s",
					request->username);
	}
	if (error != NULL) {
		proxy->callbacks->lost(proxy->context, username, error);
		return;
	}
	/* none if the row was one to be left out */
	for (i = 0; i < array_count(&request->columns); i++) {
		recall_rows_add(rows, i == username_idx ? username :
				array_idx_elem(&request->columns, i));
	}
	proxy->callbacks->done(proxy->context, username);
}

int recall_proxy_user(struct recall_proxy *proxy,
		      const struct mail_storage_service_input *input,
		      const char **error_r)
{
	struct recall_proxy_server *server;
	struct recall_proxy_request *request;
	struct proxy_route route;
	const char *key, *socket_path = proxy->socket_path;

	if (proxy_get_route(proxy, input, &route, error_r) < 0)
		return -1;
	if (proxy->callbacks->local)
		return route.proxying ? 1 : 0;
	if (route.proxying) {
		server = proxy_get_server(proxy, t_strdup_printf("%s:%u",
			route.host, route.port));
		if (route.hostip != NULL &&
		    net_addr2ip(route.hostip, &server->ip) < 0) {
			*error_r = t_strdup_printf(
				"The passdb's hostip is not an IP address: %s",
				route.hostip);
			return -1;
		}
		server->port = route.port;
		server->ssl = route.ssl;
		server->starttls = route.starttls;
		server->any_cert = route.any_cert;
	} else {
		if (socket_path == NULL &&
		    doveadm_settings->doveadm_worker_count > 0)
			socket_path = doveadm_settings->doveadm_socket_path;
		if (socket_path == NULL || doveadm_server)
			return 0;
		server = proxy_get_server(proxy, socket_path);
		if (strchr(socket_path, '/') == NULL) {
			const char *host;

			server->port = doveadm_settings->doveadm_port;
			if (net_str2hostport(socket_path, server->port, &host,
					     &server->port) == 0) {
				server->hostname =
					p_strdup(proxy->pool, host);
			}
			server->ssl = route.ssl;
			server->starttls = route.starttls;
		}
	}

	key = t_strdup_printf("%s %s", server->name, route.user);
	request = hash_table_lookup(proxy->requests, key);
	if (request != NULL) {
		proxy_repeat(proxy, request, input->username);
		return 1;
	}
	request = i_new(struct recall_proxy_request, 1);
	request->username = i_strdup(input->username);
	request->remote_username = i_strdup(route.user);
	if (proxy->callbacks->one_row) {
		hash_table_insert(proxy->requests, i_strdup(key), request);
		if (proxy->callbacks->named)
			i_array_init(&request->columns, 16);
	}
	array_push_back(&server->queue, &request);
	server_feed(server);
	while (array_count(&server->queue) > PROXY_QUEUE_MAX &&
	       proxy_wait(proxy)) ;
	proxy_tell_lost(proxy);
	return 1;
}

void recall_proxy_finish_row(struct recall_proxy *proxy)
{
	while (proxy->printer != NULL && proxy_wait(proxy)) ;
	proxy_tell_lost(proxy);
}

bool recall_proxy_connect_local(struct recall_proxy *proxy, unsigned int jobs)
{
	struct recall_proxy_server *server = proxy_get_server(proxy,
		doveadm_settings->doveadm_socket_path);
	struct recall_proxy_conn *conn;
	const char *error;

	server->max_conns = jobs;
	server->quiet = !doveadm_verbose;
	if (recall_proxy_conn_init(server, &conn, &error) < 0)
		return FALSE;
	while (array_count(&server->conns) > 0 &&
	       !recall_proxy_conn_is_ready(array_idx_elem(&server->conns, 0)) &&
	       proxy_wait(proxy)) ;
	if (array_count(&server->conns) == 0)
		return FALSE;
	proxy->local = server;
	return TRUE;
}

void recall_proxy_send_batch(struct recall_proxy *proxy,
			     struct recall_proxy_batch *batch)
{
	struct recall_proxy_request *request;

	request = i_new(struct recall_proxy_request, 1);
	request->batch = batch;
	request->username = i_strdup(batch->users[0]);
	request->remote_username = i_strdup(batch->users[0]);
	array_push_back(&proxy->local->queue, &request);
	server_feed(proxy->local);
}

bool recall_proxy_wait(struct recall_proxy *proxy)
{
	return proxy_wait(proxy);
}

bool recall_proxy_is_hungry(struct recall_proxy *proxy)
{
	return array_count(&proxy->local->queue) <= proxy->local->max_conns;
}

static bool proxy_is_busy(struct recall_proxy *proxy)
{
	struct recall_proxy_server *server;
	struct recall_proxy_conn *conn;

	array_foreach_elem(&proxy->servers, server) {
		if (array_count(&server->queue) > 0)
			return TRUE;
		array_foreach_elem(&server->conns, conn) {
			if (!recall_proxy_conn_is_idle(conn))
				return TRUE;
		}
	}
	return FALSE;
}

void recall_proxy_flush(struct recall_proxy *proxy)
{
	while (proxy_is_busy(proxy) && proxy_wait(proxy)) ;
	recall_proxy_finish_row(proxy);
	proxy_forget_requests(proxy);
}

void recall_proxy_deinit(struct recall_proxy **_proxy)
{
	struct recall_proxy *proxy = *_proxy;
	struct recall_proxy_server *server;
	struct recall_proxy_conn *conn;

	*_proxy = NULL;
	recall_proxy_flush(proxy);
	array_foreach_elem(&proxy->servers, server) {
		while (array_count(&server->conns) > 0) {
			conn = array_idx_elem(&server->conns, 0);
			recall_proxy_conn_deinit(&conn, "");
		}
		recall_proxy_tls_deinit(server);
		array_free(&server->conns);
		array_free(&server->queue);
		i_free(server->error);
	}
	array_free(&proxy->lost);
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
	if (proxy->printer == NULL)
		proxy->printer = conn;
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

static void
proxy_add_batch_args(ARRAY_TYPE(const_string) *args,
		     const struct recall_proxy_batch *batch)
{
	const char *const *arg, *const *user;

	for (arg = batch->args; *arg != NULL; arg++)
		array_push_back(args, arg);
	for (user = batch->users; *user != NULL; user++) {
		const char *option =
			t_strconcat("--"RECALL_PARAM_USERS"=", *user, NULL);

		array_push_back(args, &option);
	}
}

const char *recall_proxy_get_line(struct recall_proxy *proxy,
				  const struct recall_proxy_request *request)
{
	string_t *line = t_str_new(256);
	ARRAY_TYPE(const_string) args;
	const char *const *argp, *arg;

	/* <flags> <username> <command> [<args>] */
	if (doveadm_debug)
		str_append_c(line, 'D');
	else if (doveadm_verbose)
		str_append_c(line, 'v');
	str_append_c(line, '\t');
	str_append_tabescaped(line, request->remote_username);
	str_append_c(line, '\t');
	str_append_tabescaped(line, proxy->cctx->cmd->name);
	/* options first: what is not one comes after a "--" */
	t_array_init(&args, 32);
	if (request->batch != NULL)
		proxy_add_batch_args(&args, request->batch);
	proxy->callbacks->add_args(proxy->context, request->username, &args);
	for (argp = proxy->args; *argp != NULL; argp++)
		array_push_back(&args, argp);
	array_foreach_elem(&args, arg) {
		str_append_c(line, '\t');
		str_append_tabescaped(line, arg);
	}
	str_append_c(line, '\n');
	return str_c(line);
}

void recall_proxy_answered(struct recall_proxy_server *server,
			   struct recall_proxy_request *request, int exit_code,
			   const char *reason)
{
	struct recall_proxy *proxy = server->proxy;
	const char *error = NULL;

	if (request->batch != NULL) {
		/* rows say what went wrong, unless there are none at all */
		if (exit_code == EX_USAGE || (exit_code != 0 &&
		    array_is_empty(&request->batch->columns))) {
			error = t_strdup_printf(
				"%s failed the command: %s",
				server->name, reason);
		}
		if (exit_code == EX_USAGE)
			doveadm_exit_code = exit_code;
		else if (exit_code != 0)
			recall_rows_set_exit_code(proxy->rows, exit_code);
	} else if (exit_code != 0 && exit_code != EX_USAGE &&
		   request->rows == 0) {
		error = t_strdup_printf("Node %s failed the command: %s",
					server->name, reason);
		proxy_add_lost(proxy, request->username, error);
	} else {
		/* a node that refuses the command has no rows */
		if (exit_code == EX_USAGE)
			doveadm_exit_code = exit_code;
		else if (exit_code != 0)
			recall_rows_set_exit_code(proxy->rows, exit_code);
		proxy->callbacks->done(proxy->context, request->username);
	}
	proxy_request_finish(proxy, request, error);
	server_feed(server);
	io_loop_stop(current_ioloop);
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
	server_feed(server);
	io_loop_stop(current_ioloop);
	return TRUE;
}

void recall_proxy_lost(struct recall_proxy_server *server,
		       struct recall_proxy_request *request, bool partial,
		       const char *error)
{
	struct recall_proxy *proxy = server->proxy;

	if (request->batch != NULL) {
		i_error("%s", error);
		proxy_request_finish(proxy, request, error);
		server_feed(server);
		io_loop_stop(current_ioloop);
		return;
	}
	if (!partial && (request->rows == 0 || !proxy->callbacks->one_row)) {
		proxy_add_lost(proxy, request->username, error);
	} else {
		i_error("%s: %s", request->username, error);
		recall_rows_set_exit_code(proxy->rows, EX_TEMPFAIL);
		proxy->callbacks->done(proxy->context, request->username);
	}
	/* a partial row has been completed: it's as good as any */
	proxy_request_finish(proxy, request,
			     request->rows == 0 && !partial ? error : NULL);
	server_feed(server);
	io_loop_stop(current_ioloop);
}
