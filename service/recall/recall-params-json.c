#include <stdio.h>
#include <time.h>

#include "recall-params.h"
#include "recall-params-json.h"
#include "strlist-json.h"

const char *recall_command(const struct recall *recall)
{
	return recall->kind == RECALL_RESTORE ? RECALL_CMD_RESTORE :
		RECALL_CMD_EXPUNGE;
}

/* How long it stands from now on: no longer than was asked for, whatever the
   clock says meanwhile, as a node may refuse that. */
static int64_t stand_secs(const struct recall *recall)
{
	int64_t left = recall->stand_until - (int64_t)time(NULL);

	return recall->stand_until == 0 || left > recall->stand ?
		recall->stand : left;
}

/* What only an expunge has. */
static void
add_expunge_params(json_t *params, const struct recall *recall, bool dry_run)
{
	char stand[32];
	int64_t secs = stand_secs(recall);

	if (recall->query.count > 0)
		json_object_set_new(params, RECALL_PARAM_QUERY,
				    strlist_to_json(&recall->query));
	else
		json_object_set_new(params, RECALL_PARAM_MESSAGE_ID,
				    json_string(recall->message_id));
	if (recall->verify_headers)
		json_object_set_new(params, RECALL_PARAM_VERIFY_HEADERS,
				    json_true());
	if (secs > 0) {
		snprintf(stand, sizeof(stand), "%lld secs", (long long)secs);
		json_object_set_new(params, RECALL_PARAM_STAND,
				    json_string(stand));
	} else if (recall->everyone || recall->stand > 0) {
		/* whatever the node's default is: for everyone the service has
		   to know of it, and the other one has ended */
		json_object_set_new(params, RECALL_PARAM_STAND,
				    json_string("off"));
	}
	/* a command asks about some of them only */
	if (secs > 0 && recall->everyone)
		json_object_set_new(params, RECALL_PARAM_STAND_ALL,
				    json_true());
	json_object_set_new(params, RECALL_PARAM_FORCE,
			    json_boolean(recall->force));
	json_object_set_new(params, RECALL_PARAM_NO_NOTIFY,
			    json_boolean(!recall->notify));
	json_object_set_new(params, RECALL_PARAM_DRY_RUN,
			    json_boolean(dry_run));
	if (recall->senders.count > 0)
		json_object_set_new(params, RECALL_PARAM_SENDER,
				    strlist_to_json(&recall->senders));
}

json_t *recall_make_params(const struct recall *recall, bool dry_run)
{
	json_t *params = json_object();

	if (recall->kind == RECALL_EXPUNGE)
		add_expunge_params(params, recall, dry_run);
	json_object_set_new(params, RECALL_PARAM_RECALL_ID,
			    json_string(recall->kind == RECALL_RESTORE ?
					recall->target : recall->id));
	json_object_set_new(params, RECALL_PARAM_ACTOR,
			    json_string(recall->actor.login));
	if (recall->approver != NULL)
		json_object_set_new(params, RECALL_PARAM_APPROVER,
				    json_string(recall->approver));
	if (*recall->reason != '\0')
		json_object_set_new(params, RECALL_PARAM_REASON,
				    json_string(recall->reason));
	if (recall->actor.role == ROLE_ADMIN)
		json_object_set_new(params, RECALL_PARAM_TENANT,
				    json_string(recall->actor.tenant));
	return params;
}
