#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "recall-verdict.h"
#include "jobs.h"
#include "recall-json.h"
#include "strbuf.h"
#include "strlist-json.h"

static json_t *user_to_json(const struct recall_user *user)
{
	json_t *json = json_object();

	json_object_set_new(json, "email", json_string(user->email));
	if (user->mailbox_user != NULL &&
	    strcasecmp(user->mailbox_user, user->email) != 0)
		json_object_set_new(json, "mailbox_user",
				    json_string(user->mailbox_user));
	json_object_set_new(json, "status",
			    json_string(recall_verdict_name(user->verdict)));
	json_object_set_new(json, "copies", json_integer(user->copies));
	if (user->verdict == RECALL_VERDICT_RESTORED)
		json_object_set_new(json, "present",
				    json_integer(user->present));
	if (user->notice != NULL)
		json_object_set_new(json, "notice", json_string(user->notice));
	if (user->mailboxes != NULL)
		json_object_set_new(json, "mailboxes",
				    json_string(user->mailboxes));
	if (user->searched != NULL)
		json_object_set_new(json, "searched",
				    json_string(user->searched));
	if (user->error != NULL)
		json_object_set_new(json, "error", json_string(user->error));
	return json;
}

static json_t *nodes_to_json(const struct recall *recall)
{
	json_t *list = json_array(), *json;
	size_t i;

	for (i = 0; i < recall->node_count; i++) {
		const struct recall_node *node = &recall->nodes[i];

		json = json_pack("{s:s, s:s, s:I}", "name", node->name,
				 "state", recall_node_state_name(node->state),
				 "looked", (json_int_t)node->users_done);
		if (node->down_since != 0)
			json_object_set_new(json, "down_since",
					    json_integer(node->down_since));
		if (node->error != NULL)
			json_object_set_new(json, "error",
					    json_string(node->error));
		json_array_append_new(list, json);
	}
	return list;
}

/* "incomplete: node a:2222, since 2026-01-31T12:34:56Z; node b:2222, ..." */
static char *incomplete(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	char since[32];
	struct tm tm;
	size_t i;

	for (i = 0; i < recall->node_count; i++) {
		const struct recall_node *node = &recall->nodes[i];
		time_t t = node->down_since;

		if (node->state != RECALL_NODE_DOWN)
			continue;
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ",
			 gmtime_r(&t, &tm));
		strbuf_addf(&b, "%s node %s, since %s",
			    b.len == 0 ? "incomplete:" : ";", node->name,
			    since);
	}
	return b.data;
}

/* How far a recall from everyone is. */
static void add_everyone(json_t *json, const struct recall *recall)
{
	char *text = incomplete(recall);

	json_object_set_new(json, "all", json_true());
	json_object_set_new(json, "nodes", nodes_to_json(recall));
	if (text != NULL)
		json_object_set_new(json, "message", json_string(text));
	free(text);
}

void recall_json_set_criteria(json_t *json, const struct recall *recall)
{
	if (recall->query.count > 0)
		json_object_set_new(json, "query",
				    strlist_to_json(&recall->query));
	else
		json_object_set_new(json, "messageid",
				    json_string(recall->message_id));
}

const char *recall_json_state(const char *id, enum recall_approval approval,
			      bool finished)
{
	return !finished && jobs_is_paused(id) ? "paused" :
		recall_state_name(approval, finished);
}

json_t *recall_to_json(const struct recall *recall)
{
	json_t *json = json_object(), *results = json_array();
	json_t *summary = json_object();
	size_t counts[RECALL_VERDICT_COUNT] = { 0 };
	size_t i;

	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict < 0)
			continue;
		counts[recall->users[i].verdict]++;
		json_array_append_new(results, user_to_json(&recall->users[i]));
	}
	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		if (counts[i] > 0)
			json_object_set_new(summary, recall_verdict_name(i),
					    json_integer(counts[i]));
	}
	json_object_set_new(json, "success",
			    json_boolean(counts[RECALL_VERDICT_ERROR] == 0 &&
					 recall_count_nodes(recall,
						RECALL_NODE_FAILED) == 0 &&
					 !recall_is_denied(recall)));
	json_object_set_new(json, "state", json_string(
		recall_json_state(recall->id, recall->approval,
				  recall->finished != 0)));
	json_object_set_new(json, "id", json_string(recall->id));
	json_object_set_new(json, "cmd",
			    json_string(recall_kind_name(recall->kind)));
	if (recall->target != NULL)
		json_object_set_new(json, "recall",
				    json_string(recall->target));
	recall_json_set_criteria(json, recall);
	if (recall->everyone)
		add_everyone(json, recall);
	json_object_set_new(json, "results", results);
	json_object_set_new(json, "summary", summary);
	return json;
}
