#include "lib.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"
#include "recall-proxy.h"

static bool nodes_is_waiting(const struct recall_proxy_server *server,
			     const struct recall_proxy_request *wanted)
{
	struct recall_proxy_request *request;

	array_foreach_elem(&server->pending, request) {
		if (strcmp(request->remote_username,
			   wanted->remote_username) == 0)
			return TRUE;
	}
	return FALSE;
}

/* The first of a node's users are not kept waiting for others. */
static unsigned int nodes_batch_size(const struct recall_proxy_server *server)
{
	const unsigned int max = server->proxy->callbacks->batch_max;
	unsigned int size = 1, i;

	for (i = server->sent; size < max && i >= server->max_conns;
	     i -= server->max_conns)
		size *= 2;
	return I_MIN(size, max);
}

/* Takes the first ones who wait. */
static struct recall_proxy_batch *
nodes_batch_init(struct recall_proxy_server *server, unsigned int count)
{
	struct recall_proxy *proxy = server->proxy;
	struct recall_proxy_request *const *requests =
		array_front(&server->pending);
	const char **users = t_new(const char *, count);
	struct recall_proxy_batch *batch;
	unsigned int i;

	for (i = 0; i < count; i++)
		users[i] = requests[i]->remote_username;
	batch = recall_proxy_batch_init(proxy->rows, users, count,
					proxy->callbacks->batch_args);
	batch->max_size = RECALL_PROXY_KEPT_MAX_SIZE;
	p_array_init(&batch->requests, batch->pool, count);
	array_append(&batch->requests, requests, count);
	return batch;
}

static void
nodes_send_some(struct recall_proxy_server *server, unsigned int count)
{
	struct recall_proxy_request *request;
	struct recall_proxy_batch *batch;

	request = array_idx_elem(&server->pending, 0);
	if (count > 1) T_BEGIN {
		batch = nodes_batch_init(server, count);
		array_push_back(&server->batches, &batch);
		request = recall_proxy_request_init(batch->users[0],
						    batch->users[0]);
		request->batch = batch;
	} T_END;
	array_delete(&server->pending, 0, count);
	server->sent++;
	recall_proxy_server_add(server, request);
}

void recall_proxy_nodes_send(struct recall_proxy_server *server)
{
	const unsigned int count = array_count(&server->pending);
	/* so that all connections end at about the same time */
	const unsigned int size =
		(count + server->max_conns - 1) / server->max_conns;

	while (array_count(&server->pending) > 0) {
		nodes_send_some(server,
				I_MIN(size, array_count(&server->pending)));
	}
}

void recall_proxy_nodes_add(struct recall_proxy_server *server,
			    struct recall_proxy_request *request)
{
	if (server->proxy->callbacks->batch_max < 2 || server->one_by_one) {
		recall_proxy_nodes_send(server);
		recall_proxy_server_add(server, request);
		return;
	}
	/* two of the same name could not be told from each other */
	if (nodes_is_waiting(server, request))
		recall_proxy_nodes_send(server);
	array_push_back(&server->pending, &request);
	if (array_count(&server->pending) >= nodes_batch_size(server))
		nodes_send_some(server, array_count(&server->pending));
}

/* Returns the user of the name, NULL if it is nobody who was asked for. Rows
   mostly come in the order in which users were asked for, so the look begins
   where the last one has ended. */
static struct recall_proxy_request *
nodes_find(const struct recall_proxy_batch *batch, const char *name,
	   unsigned int *idx)
{
	struct recall_proxy_request *const *requests;
	unsigned int i, count;

	requests = array_get(&batch->requests, &count);
	for (i = 0; i < count; i++, (*idx)++) {
		if (*idx >= count)
			*idx = 0;
		if (strcmp(requests[*idx]->remote_username, name) == 0)
			return requests[*idx];
	}
	return NULL;
}

/* Calls back for each whole row and the user whose it is. Stops where it's
   nobody's; returns FALSE then. */
static bool
nodes_foreach_row(struct recall_proxy *proxy,
		  const struct recall_proxy_batch *batch,
		  void (*callback)(struct recall_proxy *proxy,
				   struct recall_proxy_request *request,
				   const char *const *columns))
{
	const unsigned int width = recall_rows_get_count(proxy->rows);
	const unsigned int name_idx =
		recall_rows_find(proxy->rows, RECALL_COLUMN_USERNAME);
	struct recall_proxy_request *request;
	const char *const *columns;
	unsigned int i, count, idx = 0;

	columns = array_get(&batch->columns, &count);
	for (i = 0; i + width <= count; i += width) {
		request = nodes_find(batch, columns[i + name_idx], &idx);
		if (request == NULL)
			return FALSE;
		callback(proxy, request, &columns[i]);
	}
	return TRUE;
}

static void
nodes_count_row(struct recall_proxy *proxy ATTR_UNUSED,
		struct recall_proxy_request *request,
		const char *const *columns ATTR_UNUSED)
{
	request->rows++;
}

/* Counts each user's rows. Returns FALSE if they are not what was asked
   for. */
static bool nodes_count_rows(struct recall_proxy *proxy,
			     const struct recall_proxy_batch *batch)
{
	struct recall_proxy_request *request;

	if (!nodes_foreach_row(proxy, batch, nodes_count_row))
		return FALSE;
	if (!proxy->callbacks->one_row)
		return TRUE;
	array_foreach_elem(&batch->requests, request) {
		if (request->rows > 1)
			return FALSE;
	}
	return TRUE;
}

static void
nodes_note_verdict(struct recall_proxy *proxy,
		   struct recall_proxy_request *request,
		   const char *const *columns)
{
	const unsigned int idx =
		recall_rows_find(proxy->rows, RECALL_COLUMN_STATUS);

	request->verdict = idx == recall_rows_get_count(proxy->rows) ? -1 :
		recall_verdict_parse(columns[idx]);
}

/* What the node has answered is the batch's, but of those who may have moved
   meanwhile. */
static void
nodes_finish(struct recall_proxy_server *server,
	     struct recall_proxy_batch *batch)
{
	struct recall_proxy *proxy = server->proxy;
	struct recall_proxy_request *request;

	(void)nodes_foreach_row(proxy, batch, nodes_note_verdict);
	array_foreach_elem(&batch->requests, request) {
		if (!recall_proxy_moves_matter(proxy, request) ||
		    (batch->error != NULL && request->rows == 0))
			continue;
		request->doubted_in = batch;
		batch->doubts++;
		recall_proxy_moves_ask(server, request);
	}
	batch->finished = batch->doubts == 0;
}

void recall_proxy_nodes_settled(struct recall_proxy_batch *batch)
{
	i_assert(batch->doubts > 0);
	batch->finished = --batch->doubts == 0;
}

void recall_proxy_nodes_take(struct recall_proxy_server *server,
			     struct recall_proxy_batch *batch,
			     struct recall_proxy_request *request)
{
	const unsigned int width = recall_rows_get_count(server->rows);
	const unsigned int name_idx =
		recall_rows_find(server->rows, RECALL_COLUMN_USERNAME);
	const char *const *columns;
	unsigned int i, j, count;

	columns = array_get(&batch->columns, &count);
	for (i = 0; i + width <= count; i += width) {
		if (strcmp(columns[i + name_idx],
			   request->remote_username) != 0)
			continue;
		for (j = 0; j < width; j++) {
			recall_proxy_request_keep(request, j == name_idx ?
				request->username : columns[i + j]);
		}
		array_delete(&batch->columns, i, width);
		break;
	}
	for (i = 0; array_idx_elem(&batch->requests, i) != request; i++) ;
	array_delete(&batch->requests, i, 1);
	recall_proxy_nodes_settled(batch);
}

static void nodes_forget_rows(struct recall_proxy_batch *batch)
{
	struct recall_proxy_request *request;

	array_clear(&batch->columns);
	array_foreach_elem(&batch->requests, request)
		request->rows = 0;
}

/* Asks for those of whom nothing is known each by a command of its own, so that
   none pays for another one. */
static void nodes_retry(struct recall_proxy_server *server,
			struct recall_proxy_batch *batch)
{
	ARRAY_TYPE(recall_proxy_request) retries;
	struct recall_proxy_request *request;
	unsigned int i;

	/* a failure may end in here once more */
	t_array_init(&retries, array_count(&batch->requests));
	for (i = 0; i < array_count(&batch->requests); ) {
		request = array_idx_elem(&batch->requests, i);
		if (request->rows > 0) {
			i++;
			continue;
		}
		array_push_back(&retries, &request);
		array_delete(&batch->requests, i, 1);
	}
	nodes_finish(server, batch);
	if (!array_is_empty(&retries))
		recall_proxy_server_prepend(server, &retries);
}

void recall_proxy_nodes_answered(struct recall_proxy_server *server,
				 struct recall_proxy_batch *batch,
				 int exit_code)
{
	struct recall_proxy *proxy = server->proxy;

	if (exit_code != 0 && array_is_empty(&batch->columns)) {
		/* it does not know of batches, nor perhaps of recalls at all:
		   nothing was done, or each user's own answer says why not */
		server->one_by_one = TRUE;
		nodes_retry(server, batch);
	} else if (!nodes_count_rows(proxy, batch)) {
		i_error(RECALL_ERROR_NODE"%s answers for users it was not "
			"asked for", server->name);
		server->one_by_one = TRUE;
		nodes_forget_rows(batch);
		nodes_retry(server, batch);
	} else {
		if (exit_code != 0)
			recall_rows_set_exit_code(proxy->rows, exit_code);
		nodes_finish(server, batch);
	}
}

void recall_proxy_nodes_lost(struct recall_proxy_server *server,
			     struct recall_proxy_batch *batch, bool retry,
			     const char *error)
{
	struct recall_proxy *proxy = server->proxy;

	if (batch->size > batch->max_size)
		server->one_by_one = TRUE;
	/* of several rows the last ones may be missing */
	if (!nodes_count_rows(proxy, batch) ||
	    (retry && !proxy->callbacks->one_row))
		nodes_forget_rows(batch);
	if (retry) {
		nodes_retry(server, batch);
		return;
	}
	batch->error = p_strdup(batch->pool, error);
	/* a row of those who may have moved is no answer yet */
	nodes_finish(server, batch);
}

static void
nodes_print_row(struct recall_proxy *proxy,
		struct recall_proxy_request *request,
		const char *const *columns)
{
	const unsigned int count = recall_rows_get_count(proxy->rows);
	const unsigned int name_idx =
		recall_rows_find(proxy->rows, RECALL_COLUMN_USERNAME);
	const char *value;
	unsigned int i;

	for (i = 0; i < count; i++) {
		value = i == name_idx ? request->username : columns[i];
		recall_rows_add(proxy->rows, value);
		if (proxy->callbacks->one_row && proxy->callbacks->named)
			recall_proxy_request_keep(request, value);
	}
}

static void nodes_tell_batch(struct recall_proxy_server *server,
			     struct recall_proxy_batch *batch)
{
	struct recall_proxy *proxy = server->proxy;
	struct recall_proxy_request *request;
	const char *error;

	(void)nodes_foreach_row(proxy, batch, nodes_print_row);
	array_foreach_elem(&batch->requests, request) {
		error = request->rows > 0 && proxy->callbacks->one_row ? NULL :
			batch->error;
		if (request->rows == 0 && error == NULL &&
		    proxy->callbacks->all_have_rows)
			error = "There is no answer";
		if (error != NULL) {
			recall_proxy_request_lose(server, request, error);
			continue;
		}
		proxy->callbacks->done(proxy->context, request->username);
		recall_proxy_request_finish(proxy, request, NULL);
	}
}

void recall_proxy_nodes_tell(struct recall_proxy_server *server)
{
	struct recall_proxy_batch *batch;

	while (server->proxy->printer == NULL &&
	       array_count(&server->batches) > 0) {
		batch = array_idx_elem(&server->batches, 0);
		if (!batch->finished)
			break;
		array_pop_front(&server->batches);
		T_BEGIN {
			nodes_tell_batch(server, batch);
		} T_END;
		recall_proxy_batch_deinit(&batch);
	}
}
