#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "strescape.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"
#include "recall-proxy.h"

struct recall_proxy_request *
recall_proxy_request_init(const char *username, const char *remote_username)
{
	struct recall_proxy_request *request =
		i_new(struct recall_proxy_request, 1);

	request->username = i_strdup(username);
	request->remote_username = i_strdup(remote_username);
	return request;
}

void recall_proxy_request_keep(struct recall_proxy_request *request,
			       const char *value)
{
	char *copy;

	if (!array_is_created(&request->columns))
		return;
	copy = i_strdup(value);
	array_push_back(&request->columns, &copy);
}

void recall_proxy_request_free(struct recall_proxy_request *request)
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

void recall_proxy_request_finish(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 const char *error)
{
	struct recall_proxy_batch *batch = request->batch;

	if (batch != NULL) {
		batch->error = p_strdup(batch->pool, error);
		batch->finished = TRUE;
		recall_proxy_request_free(request);
		return;
	}
	if (!proxy->callbacks->one_row) {
		recall_proxy_request_free(request);
		return;
	}
	/* another name of the same user may come */
	request->error = i_strdup(error);
	request->finished = TRUE;
}

void recall_proxy_requests_forget(struct recall_proxy *proxy)
{
	struct hash_iterate_context *iter;
	struct recall_proxy_request *request;
	char *key;

	iter = hash_table_iterate_init(proxy->requests);
	while (hash_table_iterate(iter, proxy->requests, &key, &request)) {
		recall_proxy_request_free(request);
		i_free(key);
	}
	hash_table_iterate_deinit(&iter);
	hash_table_clear(proxy->requests, FALSE);
}

void recall_proxy_tell_lost(struct recall_proxy *proxy)
{
	struct recall_proxy_lost_user user;

	while (proxy->printer == NULL && array_count(&proxy->lost) > 0) {
		user = *array_front(&proxy->lost);
		array_pop_front(&proxy->lost);
		proxy->callbacks->lost(proxy->context, user.username,
				       user.error);
		i_free(user.username);
		i_free(user.error);
	}
}

void recall_proxy_add_lost(struct recall_proxy *proxy, const char *username,
			   const char *error)
{
	struct recall_proxy_lost_user *user = array_append_space(&proxy->lost);

	user->username = i_strdup(username);
	user->error = i_strdup(error);
}

void recall_proxy_request_lose(struct recall_proxy_server *server,
			       struct recall_proxy_request *request,
			       const char *error)
{
	if (recall_proxy_request_is_of_node(request)) {
		recall_proxy_nodes_lost(server, request->batch, FALSE, error);
		recall_proxy_request_free(request);
		return;
	}
	if (request->batch == NULL)
		recall_proxy_add_lost(server->proxy, request->username, error);
	recall_proxy_request_finish(server->proxy, request, error);
}

bool recall_proxy_request_is_of_node(const struct recall_proxy_request *request)
{
	return request->batch != NULL &&
		array_is_created(&request->batch->requests);
}

static void
proxy_add_batch_args(ARRAY_TYPE(const_string) *args,
		     const struct recall_proxy_request *request)
{
	const struct recall_proxy_batch *batch = request->batch;
	const char *const *arg, *const *user;
	const char *option, *prefix = recall_proxy_request_is_of_node(request) ?
		"--"RECALL_PARAM_NODE_USERS"=" : "--"RECALL_PARAM_USERS"=";

	for (arg = batch->args; *arg != NULL; arg++)
		array_push_back(args, arg);
	for (user = batch->users; *user != NULL; user++) {
		option = t_strconcat(prefix, *user, NULL);
		array_push_back(args, &option);
	}
}

/* As they were asked for. */
static const char *const *
proxy_request_get_users(const struct recall_proxy_request *request)
{
	struct recall_proxy_request *user;
	ARRAY_TYPE(const_string) users;
	const char *name;

	t_array_init(&users, 16);
	if (recall_proxy_request_is_of_node(request)) {
		array_foreach_elem(&request->batch->requests, user) {
			name = user->username;
			array_push_back(&users, &name);
		}
	} else if (request->batch != NULL) {
		return request->batch->users;
	} else {
		name = request->username;
		array_push_back(&users, &name);
	}
	array_append_zero(&users);
	return array_front(&users);
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
		proxy_add_batch_args(&args, request);
	proxy->callbacks->add_args(proxy->context,
				   proxy_request_get_users(request), &args);
	for (argp = proxy->args; *argp != NULL; argp++)
		array_push_back(&args, argp);
	array_foreach_elem(&args, arg) {
		str_append_c(line, '\t');
		str_append_tabescaped(line, arg);
	}
	str_append_c(line, '\n');
	return str_c(line);
}
