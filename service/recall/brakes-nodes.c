#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "alloc.h"
#include "brakes-nodes.h"
#include "doveadm-client.h"
#include "log.h"

static bool has(const struct strlist *list, const char *text)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

/* Each of them once. */
static void get_urls(const struct config *config, struct strlist *urls)
{
	struct strlist all = { NULL, 0, 0 };
	size_t i;

	strlist_split(&all, config->doveadm_url);
	for (i = 0; i < config->nodes.count; i += 2)
		strlist_split(&all, config->nodes.items[i + 1]);
	for (i = 0; i < all.count; i++) {
		if (!has(urls, all.items[i]))
			strlist_add(urls, all.items[i]);
	}
	strlist_free(&all);
}

static json_t *make_params(bool release, const char *actor, const char *reason)
{
	json_t *params = json_pack("{s:s}", RECALL_PARAM_ACTOR, actor);

	if (release)
		json_object_set_new(params, RECALL_PARAM_RELEASE, json_true());
	else if (*reason != '\0')
		json_object_set_new(params, RECALL_PARAM_REASON,
				    json_string(reason));
	return params;
}

static json_t *node_to_json(const struct doveadm_call *call, bool release)
{
	json_t *node = json_pack("{s:s}", "url", call->urls);

	if (call->result == DOVEADM_OK) {
		json_object_set_new(node, "stopped", json_boolean(!release));
		return node;
	}
	log_error("%s: recalls are not %s there: %s", call->urls,
		  release ? "released" : "stopped", call->error);
	json_object_set_new(node, "error", json_string(call->error == NULL ?
		"The mail system does not answer" : call->error));
	return node;
}

json_t *brakes_tell_nodes(struct config *config, bool release,
			  const char *actor, const char *reason, bool *ok_r)
{
	struct strlist urls = { NULL, 0, 0 };
	struct doveadm_calls *calls = doveadm_calls_begin();
	struct doveadm_call *all;
	json_t *nodes = json_array();
	size_t i;

	get_urls(config, &urls);
	all = x_calloc(urls.count, sizeof(*all));
	for (i = 0; i < urls.count; i++) {
		all[i].config = config;
		all[i].urls = urls.items[i];
		all[i].command = RECALL_CMD_STOP;
		all[i].params = make_params(release, actor, reason);
		all[i].timeout = config->doveadm_connect_timeout;
		doveadm_calls_add(calls, &all[i]);
	}
	for (i = 0; i < urls.count; i++)
		(void)doveadm_calls_wait(calls);
	doveadm_calls_end(calls);
	*ok_r = true;
	for (i = 0; i < urls.count; i++) {
		*ok_r = *ok_r && all[i].result == DOVEADM_OK;
		json_array_append_new(nodes, node_to_json(&all[i], release));
		json_decref(all[i].answer);
		free(all[i].error);
	}
	free(all);
	strlist_free(&urls);
	return nodes;
}
