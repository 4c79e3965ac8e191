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

void recall_proxy_request_finish(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 const char *error)
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

void recall_proxy_requests_forget(struct recall_proxy *proxy)
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

void recall_proxy_request_lose(struct recall_proxy *proxy,
			       struct recall_proxy_request *request,
			       const char *error)
{
	if (request->batch == NULL)
		recall_proxy_add_lost(proxy, request->username, error);
	recall_proxy_request_finish(proxy, request, error);
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
