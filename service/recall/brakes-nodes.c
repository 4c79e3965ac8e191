#include "recall-params.h"
#include "brakes-nodes.h"
#include "doveadm-nodes.h"
#include "journal-doubts.h"
#include "log.h"

json_t *brakes_params(bool release, const char *actor, const char *reason)
{
	json_t *params = json_pack("{s:s}", RECALL_PARAM_ACTOR, actor);

	if (*reason != '\0')
		json_object_set_new(params, RECALL_PARAM_REASON,
				    json_string(reason));
	if (release)
		json_object_set_new(params, RECALL_PARAM_RELEASE, json_true());
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

json_t *brakes_tell_nodes(struct config *config, bool release, const char *who,
			  const struct journal_stop *stop, bool *ok_r)
{
	struct doveadm_call *all;
	json_t *nodes = json_array();
	size_t i, count;

	all = doveadm_nodes_calls(config, RECALL_CMD_STOP, &count);
	for (i = 0; i < count; i++)
		all[i].params = brakes_params(release,
			release ? who : stop->actor,
			release ? "" : stop->reason);
	doveadm_nodes_run(all, count);
	*ok_r = true;
	for (i = 0; i < count; i++) {
		if (all[i].result != DOVEADM_OK) {
			*ok_r = false;
			if (stop->actor != NULL)
				(void)journal_doubt_add(all[i].urls, stop,
							true);
		}
		json_array_append_new(nodes, node_to_json(&all[i], release));
	}
	doveadm_nodes_free(all, count);
	return nodes;
}
