#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-limits.h"
#include "recall-params.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-nodes.h"
#include "journal-standing.h"
#include "log.h"
#include "standing.h"

/* The keeper leaves alone for so long what is about to be said. */
#define END_GRACE_SECS 10

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

static json_t *order_from_row(const json_t *row)
{
	json_t *order = json_object();
	const char *query = row_text(row, RECALL_COLUMN_QUERY);

	json_object_set_new(order, "id",
		json_string(row_text(row, RECALL_COLUMN_RECALL_ID)));
	if (*query != '\0')
		json_object_set_new(order, "query",
				    json_pack("[s]", query));
	else
		json_object_set_new(order, "messageid",
			json_string(row_text(row, RECALL_COLUMN_MESSAGE_ID)));
	json_object_set_new(order, "actor",
		json_string(row_text(row, RECALL_COLUMN_ACTOR)));
	json_object_set_new(order, "reason",
		json_string(row_text(row, RECALL_COLUMN_REASON)));
	json_object_set_new(order, "late", json_integer(0));
	json_object_set_new(order, "expires", json_integer(0));
	json_object_set_new(order, "nodes", json_array());
	return order;
}

/* Nodes began at different times, and each has taken copies of its own. */
static void add_node(json_t *order, const char *name, const json_t *row)
{
	int64_t expires = parse_utc(row_text(row, RECALL_COLUMN_EXPIRES));
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
	const char *id = row_text(row, RECALL_COLUMN_RECALL_ID);
	json_t *order;
	size_t i;

	json_array_foreach(orders, i, order) {
		if (strcmp(row_text(order, "id"), id) == 0)
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
		if (strcmp(row_text(node, "name"), name) == 0)
			return true;
	}
	return false;
}

/* An order stands where a user of it was asked about: the others are listed,
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
			    strcmp(row_text(row, RECALL_COLUMN_TENANT),
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

/* What came of a node's call, in the journal, too. */
static json_t *take_end(const struct doveadm_call *call, const char *id,
			bool *found)
{
	struct journal_standing row = {
		.url = (char *)call->urls,
		.state = STANDING_ENDING,
	};
	bool ended = strcmp(row_text(json_array_get(call->answer, 0),
				   RECALL_COLUMN_STATUS), "ended") == 0;
	char *name = node_name(call->urls);
	json_t *node = json_pack("{s:s, s:b}", "name", name, "ended", ended);

	free(name);
	*found = *found || ended;
	memcpy(row.recall, id, sizeof(row.recall));
	if (call->result == DOVEADM_OK) {
		(void)journal_standing_settle(&row, STANDING_ENDED);
	} else {
		(void)journal_standing_failed(&row, 1, false, call->error);
		json_object_set_new(node, "error", json_string(call->error));
	}
	return node;
}

json_t *standing_end(struct config *config, const char *id, bool *ok_r,
		     bool *found_r)
{
	struct strlist urls = { NULL, 0, 0 };
	struct doveadm_call *calls;
	json_t *nodes = json_array();
	int64_t now = time(NULL);
	size_t i, count;

	doveadm_nodes_urls(config, &urls);
	*found_r = false;
	*ok_r = journal_standing_end(id, &urls, now + RECALL_STAND_MAX_SECS,
				     now + END_GRACE_SECS);
	strlist_free(&urls);
	if (!*ok_r)
		return nodes;
	calls = ask_nodes(config, RECALL_CMD_STANDING_END, id, &count);
	for (i = 0; i < count; i++) {
		*ok_r = *ok_r && calls[i].result == DOVEADM_OK;
		json_array_append_new(nodes, take_end(&calls[i], id, found_r));
	}
	doveadm_nodes_free(calls, count);
	if (*ok_r)
		journal_standing_forget(id);
	return nodes;
}

static json_t *node_to_json(const struct journal_standing *row)
{
	char *name = node_name(row->url);
	json_t *json = json_pack("{s:s, s:I}", "name", name,
				 "since", (json_int_t)row->since);

	if (row->error != NULL)
		json_object_set_new(json, "error", json_string(row->error));
	free(name);
	return json;
}

static void add_row(json_t *json, const struct journal_standing *row)
{
	char *name = node_name(row->url);

	switch (row->state) {
	case STANDING_MISSING:
		json_array_append_new(json_object_get(json, "missing"),
				      node_to_json(row));
		break;
	case STANDING_LOOK:
	case STANDING_STANDS:
		json_array_append_new(json_object_get(json, "nodes"),
				      json_string(name));
		break;
	case STANDING_ENDING:
		json_array_append_new(json_object_get(json, "ending"),
				      node_to_json(row));
		break;
	case STANDING_ENDED:
		break;
	}
	free(name);
}

bool standing_of_recall(const char *id, json_t **standing_r)
{
	struct journal_standing *rows;
	size_t i, count, open = 0;
	json_t *json;
	bool ok;

	*standing_r = NULL;
	ok = journal_standing_load(id, &rows, &count);
	json = json_pack("{s:[], s:[], s:[]}", "nodes", "missing", "ending");
	for (i = 0; i < count; i++) {
		if (rows[i].state == STANDING_ENDED ||
		    rows[i].until <= time(NULL))
			continue;
		open++;
		json_object_set_new(json, "until", json_integer(rows[i].until));
		add_row(json, &rows[i]);
	}
	journal_standing_free(rows, count);
	if (ok && open > 0)
		*standing_r = json_incref(json);
	json_decref(json);
	return ok;
}
