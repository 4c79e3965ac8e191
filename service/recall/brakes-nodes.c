#include <string.h>

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

/* Whether somebody else has stopped it, at its shell or through another
   service. */
static bool stays_stopped(const struct doveadm_call *call)
{
	return call->result == DOVEADM_OK &&
	       strcmp(row_text(json_array_get(call->answer, 0),
			       RECALL_COLUMN_STATUS), RECALL_STOP_STAYS) == 0;
}

static json_t *node_to_json(const struct doveadm_call *call, bool release)
{
	json_t *node = json_pack("{s:s}", "url", call->urls);

	if (stays_stopped(call)) {
		json_object_set_new(node, "stopped", json_true());
		json_object_set_new(node, "error", json_string(
			"Recalls are stopped there by somebody else: release "
			"them there, or by all=1"));
		return node;
	}
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

static json_t *make_params(const struct brakes_release *release,
			   const struct journal_stop *stop)
{
	json_t *params;

	if (release == NULL)
		return brakes_params(false, stop->actor, stop->reason);
	if (release->all)
		return brakes_params(true, release->who, "");
	/* of those that have not heard of its end */
	params = brakes_params(true, release->who, stop->actor == NULL ? "" :
			       stop->reason);
	json_object_set_new(params, RECALL_PARAM_STOPPED_BY,
			    json_string(stop->actor == NULL ? release->who :
					stop->actor));
	return params;
}

json_t *brakes_tell_nodes(struct config *config,
			  const struct brakes_release *release,
			  const struct journal_stop *stop, bool *ok_r)
{
	struct doveadm_call *all;
	json_t *nodes = json_array();
	size_t i, count;

	all = doveadm_nodes_calls(config, RECALL_CMD_STOP, &count);
	for (i = 0; i < count; i++)
		all[i].params = make_params(release, stop);
	doveadm_nodes_run(all, count);
	*ok_r = true;
	for (i = 0; i < count; i++) {
		if (all[i].result != DOVEADM_OK) {
			*ok_r = false;
			if (stop->actor != NULL)
				(void)journal_doubt_add(all[i].urls, stop,
							true);
		}
		if (stays_stopped(&all[i]))
			*ok_r = false;
		json_array_append_new(nodes, node_to_json(&all[i],
							  release != NULL));
	}
	doveadm_nodes_free(all, count);
	return nodes;
}
