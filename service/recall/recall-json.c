#include <strings.h>

#include "recall-verdict.h"
#include "jobs.h"
#include "recall-json.h"
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
	json_object_set_new(json, "results", results);
	json_object_set_new(json, "summary", summary);
	return json;
}
