#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "http-reply.h"
#include "journal.h"
#include "params.h"

#define LIST_DEFAULT 50
#define LIST_MAX 1000

void action_status(struct http_request *request)
{
	const char *id;
	struct recall *recall = NULL;
	json_t *json;
	size_t open;

	id = http_request_path_id(request);
	if (strlen(id) == RECALL_ID_LEN)
		recall = journal_load(id);
	/* what one may not see does not exist */
	if (recall == NULL || !journal_visible(&request->identity, recall)) {
		http_reply_message(request, 404, "There is no such recall");
		recall_free(recall);
		return;
	}
	open = recall_count(recall, -1);
	json = recall_to_json(recall);
	json_object_set_new(json, "state", json_string(
		recall->finished != 0 ? "finished" : "running"));
	json_object_set_new(json, "actor", json_string(recall->actor.login));
	json_object_set_new(json, "created", json_integer(recall->created));
	json_object_set_new(json, "finished", recall->finished == 0 ?
			    json_null() : json_integer(recall->finished));
	json_object_set_new(json, "progress", json_pack("{s:I, s:I}",
		"done", (json_int_t)(recall->count - open),
		"total", (json_int_t)recall->count));
	http_reply_json(request, 200, json);
	recall_free(recall);
}

/* A time, or the id that the page before ended with. */
static bool get_before(struct http_request *request, int64_t *time_r,
		       const char **id_r)
{
	bool ok = true;
	const char *value = http_request_param(request, "before", &ok);

	*time_r = 0;
	*id_r = NULL;
	if (value == NULL || strlen(value) != RECALL_ID_LEN)
		return ok && param_number(request, "before", 0, 1, INT64_MAX,
					  time_r);
	*id_r = value;
	return true;
}

void action_list(struct http_request *request)
{
	int64_t before, limit;
	const char *before_id;

	if (!get_before(request, &before, &before_id) ||
	    !param_number(request, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit))
		return;
	http_reply_json(request, 200, json_pack("{s:b, s:o}", "success", 1,
		"actions", journal_list(&request->identity, before, before_id,
					(int)limit)));
}
