#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-params.h"
#include "alloc.h"
#include "doveadm-nodes.h"
#include "log.h"
#include "standing.h"

static const char *column(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value == NULL ? "" : value;
}

/* What people call the node: the URL's host and port. */
static char *node_name(const char *url)
{
	const char *start = strstr(url, "://");

	start = start == NULL ? url : start + strlen("://");
	return x_strndup(start, strcspn(start, "/"));
}

static struct doveadm_call *
ask_nodes(struct config *config, const char *command, const char *id,
	  size_t *count_r)
{
	struct doveadm_call *calls =
		doveadm_nodes_calls(config, command, count_r);
	size_t i;

	for (i = 0; i < *count_r; i++) {
		calls[i].params = json_object();
		if (id != NULL)
			json_object_set_new(calls[i].params,
				RECALL_PARAM_RECALL_ID, json_string(id));
	}
	doveadm_nodes_run(calls, *count_r);
	for (i = 0; i < *count_r; i++) {
		if (calls[i].result != DOVEADM_OK)
			log_error("%s: %s: %s", calls[i].urls, command,
				  calls[i].error);
	}
	return calls;
}

static int64_t parse_time(const char *text)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL ? 0 :
		(int64_t)timegm(&tm);
}

static json_t *order_from_row(const json_t *row)
{
	json_t *order = json_object();
	const char *query = column(row, RECALL_COLUMN_QUERY);

	json_object_set_new(order, "id",
		json_string(column(row, RECALL_COLUMN_RECALL_ID)));
	if (*query != '\0')
		json_object_set_new(order, "query",
				    json_pack("[s]", query));
	else
		json_object_set_new(order, "messageid",
			json_string(column(row, RECALL_COLUMN_MESSAGE_ID)));
	json_object_set_new(order, "actor",
		json_string(column(row, RECALL_COLUMN_ACTOR)));
	json_object_set_new(order, "reason",
		json_string(column(row, RECALL_COLUMN_REASON)));
	json_object_set_new(order, "late", json_integer(0));
	json_object_set_new(order, "expires", json_integer(0));
	json_object_set_new(order, "nodes", json_array());
	return order;
}

/* Nodes began at different times, and each has taken copies of its own. */
static void add_node(json_t *order, const char *name, const json_t *row)
{
	int64_t expires = parse_time(column(row, RECALL_COLUMN_EXPIRES));
	int64_t late = row_number(row, RECALL_COLUMN_LATE);

	late += json_integer_value(json_object_get(order, "late"));
	if (expires < json_integer_value(json_object_get(order, "expires")))
		expires = json_integer_value(json_object_get(order,
							     "expires"));
	json_object_set_new(order, "late", json_integer(late));
	json_object_set_new(order, "expires", json_integer(expires));
	json_array_append_new(json_object_get(order, "nodes"),
		json_pack("{s:s, s:b}", "name", name, "stands", 1));
}

static json_t *find_order(json_t *orders, const json_t *row)
{
	const char *id = column(row, RECALL_COLUMN_RECALL_ID);
	json_t *order;
	size_t i;

	json_array_foreach(orders, i, order) {
		if (strcmp(column(order, "id"), id) == 0)
			return order;
	}
	order = order_from_row(row);
	json_array_append_new(orders, order);
	return order;
}

static bool has_node(const json_t *order, const char *name)
{
	const json_t *node;
	size_t i;

	json_array_foreach(json_object_get(order, "nodes"), i, node) {
		if (strcmp(column(node, "name"), name) == 0)
			return true;
	}
	return false;
}

/* An order stands where a user of it was asked about: the others are told of,
   too. */
static void add_missing(json_t *orders, const struct doveadm_call *call,
			const char *name)
{
	json_t *order, *node;
	size_t i;

	json_array_foreach(orders, i, order) {
		if (has_node(order, name))
			continue;
		node = json_pack("{s:s, s:b}", "name", name, "stands", 0);
		if (call->result != DOVEADM_OK)
			json_object_set_new(node, "error",
				json_string(call->error));
		json_array_append_new(json_object_get(order, "nodes"), node);
	}
}

json_t *standing_list(struct config *config, const char *id,
		      const char *tenant, bool *ok_r)
{
	json_t *orders = json_array();
	struct doveadm_call *calls;
	size_t i, n, count;
	char *name;
	json_t *row;

	calls = ask_nodes(config, RECALL_CMD_STANDING_LIST, id, &count);
	*ok_r = true;
	for (i = 0; i < count; i++) {
		*ok_r = *ok_r && calls[i].result == DOVEADM_OK;
		name = node_name(calls[i].urls);
		json_array_foreach(calls[i].answer, n, row) {
			if (tenant == NULL ||
			    strcmp(column(row, RECALL_COLUMN_TENANT),
				   tenant) == 0)
				add_node(find_order(orders, row), name, row);
		}
		free(name);
	}
	for (i = 0; i < count; i++) {
		name = node_name(calls[i].urls);
		add_missing(orders, &calls[i], name);
		free(name);
	}
	doveadm_nodes_free(calls, count);
	return orders;
}

json_t *standing_end(struct config *config, const char *id, bool *ok_r,
		     bool *found_r)
{
	json_t *nodes = json_array(), *node;
	struct doveadm_call *calls;
	size_t i, count;
	char *name;
	bool ended;

	calls = ask_nodes(config, RECALL_CMD_STANDING_END, id, &count);
	*ok_r = true;
	*found_r = false;
	for (i = 0; i < count; i++) {
		*ok_r = *ok_r && calls[i].result == DOVEADM_OK;
		ended = strcmp(column(json_array_get(calls[i].answer, 0),
				      RECALL_COLUMN_STATUS), "ended") == 0;
		*found_r = *found_r || ended;
		name = node_name(calls[i].urls);
		node = json_pack("{s:s, s:b}", "name", name, "ended", ended);
		if (calls[i].result != DOVEADM_OK)
			json_object_set_new(node, "error",
				json_string(calls[i].error));
		json_array_append_new(nodes, node);
		free(name);
	}
	doveadm_nodes_free(calls, count);
	return nodes;
}
