#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "strescape.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "doveadm-recall-rows.h"
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
	request->verdict = -1;
	return request;
}

/* One name may be that of several hosts, each with an address. */
static const char *
request_key(const struct recall_proxy_server *server, const char *username)
{
	return t_strdup_printf("%s %s %s", server->name,
			       net_ip2addr(&server->ip), username);
}

struct recall_proxy_request *
recall_proxy_request_find(struct recall_proxy *proxy,
			  const struct recall_proxy_server *server,
			  const char *remote_username)
{
	return hash_table_lookup(proxy->requests,
				 request_key(server, remote_username));
}

void recall_proxy_request_remember(struct recall_proxy *proxy,
				   const struct recall_proxy_server *server,
				   struct recall_proxy_request *request)
{
	const char *key = request_key(server, request->remote_username);

	if (!proxy->callbacks->one_row ||
	    hash_table_lookup(proxy->requests, key) != NULL)
		return;
	hash_table_insert(proxy->requests, i_strdup(key), request);
	if (!request->known)
		array_push_back(&proxy->known, &request);
	request->known = TRUE;
}

bool recall_proxy_request_is_held(const struct recall_proxy *proxy,
				  const struct recall_proxy_request *request)
{
	return request->batch == NULL && proxy->callbacks->one_row;
}

void recall_proxy_request_keep(struct recall_proxy_request *request,
			       const char *value)
{
	char *copy;

	if (!array_is_created(&request->columns))
		i_array_init(&request->columns, 16);
	copy = i_strdup(value);
	array_push_back(&request->columns, &copy);
}

void recall_proxy_columns_free(ARRAY_TYPE(recall_proxy_columns) *columns)
{
	char *column;

	if (!array_is_created(columns))
		return;
	array_foreach_elem(columns, column)
		i_free(column);
	array_free(columns);
}

void recall_proxy_request_free(struct recall_proxy_request *request)
{
	recall_proxy_columns_free(&request->columns);
	recall_proxy_columns_free(&request->former);
	if (array_is_created(&request->followers))
		array_free(&request->followers);
	str_free(&request->part);
	i_free(request->error);
	i_free(request->username);
	i_free(request->remote_username);
	i_free(request);
}

static const char *
proxy_request_column(const struct recall_proxy *proxy,
		     const ARRAY_TYPE(recall_proxy_columns) *columns,
		     const char *name)
{
	const unsigned int idx = recall_rows_find(proxy->rows, name);

	return array_is_created(columns) && idx < array_count(columns) ?
		array_idx_elem(columns, idx) : "";
}

static void proxy_request_note_verdict(const struct recall_proxy *proxy,
				       struct recall_proxy_request *request)
{
	if (array_is_created(&request->columns)) {
		request->verdict = recall_verdict_parse(proxy_request_column(
			proxy, &request->columns, RECALL_COLUMN_STATUS));
	}
}

/* The other one has been answered for. */
static void proxy_request_end_follow(struct recall_proxy *proxy,
				     struct recall_proxy_request *request)
{
	const unsigned int name_idx =
		recall_rows_find(proxy->rows, RECALL_COLUMN_USERNAME);
	const struct recall_proxy_request *leader = request->leader;
	unsigned int i;

	request->leader = NULL;
	request->exit_code = 0;
	if (leader->error != NULL) {
		recall_proxy_request_lose(request->server, request,
					  leader->error);
		return;
	}
	/* none if the row was one to be left out, or one name will do */
	for (i = 0; array_is_created(&leader->columns) &&
	     i < array_count(&leader->columns); i++) {
		recall_proxy_request_keep(request, i == name_idx ?
			request->username :
			array_idx_elem(&leader->columns, i));
		request->rows = 1;
	}
	proxy_request_note_verdict(proxy, request);
	recall_proxy_request_tell(proxy, request);
}

void recall_proxy_request_follow(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 struct recall_proxy_request *other)
{
	request->leader = other;
	if (other->finished) {
		proxy_request_end_follow(proxy, request);
		return;
	}
	if (!array_is_created(&other->followers))
		i_array_init(&other->followers, 1);
	array_push_back(&other->followers, &request);
}

void recall_proxy_request_finish(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 const char *error)
{
	struct recall_proxy_batch *batch = request->batch;
	struct recall_proxy_request *follower;

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
	str_free(&request->part);
	recall_proxy_columns_free(&request->former);
	if (!proxy->callbacks->named)
		recall_proxy_columns_free(&request->columns);
	request->error = i_strdup(error);
	request->finished = TRUE;
	if (!array_is_created(&request->followers))
		return;
	array_foreach_elem(&request->followers, follower)
		proxy_request_end_follow(proxy, follower);
	array_free(&request->followers);
}

void recall_proxy_requests_forget(struct recall_proxy *proxy)
{
	struct hash_iterate_context *iter;
	struct recall_proxy_request *request;
	char *key;

	iter = hash_table_iterate_init(proxy->requests);
	while (hash_table_iterate(iter, proxy->requests, &key, &request))
		i_free(key);
	hash_table_iterate_deinit(&iter);
	hash_table_clear(proxy->requests, FALSE);
	array_foreach_elem(&proxy->known, request)
		recall_proxy_request_free(request);
	array_clear(&proxy->known);
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
	struct recall_proxy *proxy = server->proxy;

	if (recall_proxy_request_is_of_node(request)) {
		recall_proxy_nodes_lost(server, request->batch, FALSE, error);
		recall_proxy_request_free(request);
		return;
	}
	if (array_is_created(&request->former)) {
		error = t_strdup_printf(
			"%s ("RECALL_ERROR_LEFT_NODE"%s, %s)", error,
			recall_verdict_name(request->former_verdict),
			proxy_request_column(proxy, &request->former,
					     RECALL_COLUMN_COPIES));
	}
	if (request->batch == NULL)
		recall_proxy_add_lost(proxy, request->username, error);
	recall_proxy_request_finish(proxy, request, error);
}

const char *
recall_proxy_request_left_error(const struct recall_proxy_request *request,
				const char *error)
{
	return t_strdup_printf(RECALL_ERROR_NODE"%s "RECALL_ERROR_NODE_LEFT
			       " %s", request->server->name, error);
}

/* Both nodes have deleted what there was. */
static void
proxy_request_add_copies(struct recall_proxy *proxy,
			 struct recall_proxy_request *request)
{
	const unsigned int idx =
		recall_rows_find(proxy->rows, RECALL_COLUMN_COPIES);
	unsigned int copies, former;
	char **column;

	if (str_to_uint(proxy_request_column(proxy, &request->columns,
				RECALL_COLUMN_COPIES), &copies) < 0 ||
	    str_to_uint(proxy_request_column(proxy, &request->former,
				RECALL_COLUMN_COPIES), &former) < 0)
		return;
	column = array_idx_modifiable(&request->columns, idx);
	i_free(*column);
	*column = i_strdup(dec2str(copies + former));
}

void recall_proxy_request_leave(struct recall_proxy *proxy,
				struct recall_proxy_request *request)
{
	/* there may be one before that */
	if (request->verdict == RECALL_VERDICT_EXPUNGED)
		proxy_request_add_copies(proxy, request);
	if (request->verdict == RECALL_VERDICT_EXPUNGED ||
	    request->verdict == RECALL_VERDICT_RESTORED) {
		recall_proxy_columns_free(&request->former);
		request->former = request->columns;
		request->former_verdict = request->verdict;
		i_zero(&request->columns);
	}
	recall_proxy_columns_free(&request->columns);
	request->rows = 0;
	request->size = 0;
	request->verdict = -1;
}

/* The user has moved, and what was done where the mail was before is not to be
   forgotten. Returns FALSE if that is no answer. */
static bool proxy_request_join(struct recall_proxy *proxy,
			       struct recall_proxy_request *request,
			       const char **error_r)
{
	const char *error;

	if (!array_is_created(&request->former))
		return TRUE;
	if (request->rows > 0 && request->verdict == request->former_verdict) {
		if (request->verdict == RECALL_VERDICT_EXPUNGED)
			proxy_request_add_copies(proxy, request);
		return TRUE;
	}
	switch (request->rows == 0 ? RECALL_VERDICT_NOT_FOUND :
		request->verdict) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_NO_USER:
	case RECALL_VERDICT_ALREADY_RECALLED:
		if (request->former_verdict != RECALL_VERDICT_EXPUNGED)
			break;
		recall_proxy_columns_free(&request->columns);
		request->columns = request->former;
		i_zero(&request->former);
		request->rows = 1;
		return TRUE;
	default:
		break;
	}
	error = request->rows == 0 ? "The user has moved meanwhile" :
		t_strdup_printf("The user has moved meanwhile: %s %s",
			proxy_request_column(proxy, &request->columns,
					     RECALL_COLUMN_STATUS),
			proxy_request_column(proxy, &request->columns,
					     RECALL_COLUMN_ERROR));
	*error_r = recall_proxy_request_left_error(request, error);
	return FALSE;
}

void recall_proxy_request_tell(struct recall_proxy *proxy,
			       struct recall_proxy_request *request)
{
	struct recall_proxy_server *server;
	const char *error;
	char *column;

	if (!proxy_request_join(proxy, request, &error)) {
		recall_proxy_request_lose(request->server, request, error);
		return;
	}
	if (request->exit_code == EX_USAGE)
		doveadm_exit_code = request->exit_code;
	else if (request->exit_code != 0)
		recall_rows_set_exit_code(proxy->rows, request->exit_code);
	if (array_is_created(&request->columns)) {
		/* those who were asked for before come first */
		array_foreach_elem(&proxy->servers, server)
			recall_proxy_nodes_tell(server);
		array_foreach_elem(&request->columns, column)
			recall_rows_add(proxy->rows, column);
	}
	proxy->callbacks->done(proxy->context, request->username);
	recall_proxy_request_finish(proxy, request, NULL);
}

void recall_proxy_request_answered(struct recall_proxy_server *server,
				   struct recall_proxy_request *request,
				   int exit_code)
{
	struct recall_proxy *proxy = server->proxy;

	request->exit_code = exit_code;
	request->server = server;
	proxy_request_note_verdict(proxy, request);
	/* a node that refuses the command has no rows, and no user either */
	if ((exit_code == EX_USAGE && request->rows == 0) ||
	    !recall_proxy_moves_matter(proxy, request))
		recall_proxy_request_tell(proxy, request);
	else
		recall_proxy_moves_ask(server, request);
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
