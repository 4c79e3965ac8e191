#include <stdlib.h>
#include <string.h>

#include "recall-id.h"
#include "recall-verdict.h"
#include "actions.h"
#include "approvals.h"
#include "http-parse.h"
#include "http-reply.h"
#include "jobs.h"
#include "journal-late.h"
#include "journal-list.h"
#include "journal.h"
#include "journal-visible.h"
#include "params.h"
#include "recall-json.h"
#include "standing-keeper.h"
#include "standing.h"

#define LIST_DEFAULT 50
#define LIST_MAX 1000

static void add_approval(const struct http_request *request, json_t *json,
			 const struct recall *recall)
{
	if (recall->approval == RECALL_PENDING)
		json_object_set_new(json, "expires", json_integer(
			approval_expires(request->config, recall)));
	if (recall->approver != NULL)
		json_object_set_new(json, "approver",
				    json_string(recall->approver));
	else if (recall->decision == NULL)
		return;
	json_object_set_new(json, "decided", json_integer(recall->decided));
	if (recall->decision != NULL)
		json_object_set_new(json, "decision",
				    json_string(recall->decision));
}

static json_t *progress(const struct recall *recall)
{
	size_t open = recall_count(recall, -1);
	json_int_t done = recall_users_done(recall), failures;

	if (!recall->everyone)
		return json_pack("{s:I, s:I}",
			"done", (json_int_t)(recall->count - open),
			"total", (json_int_t)recall->count);
	/* how many there are is known when all have been listed */
	failures = recall_count(recall, RECALL_VERDICT_ERROR) +
		   recall_count(recall, RECALL_VERDICT_NO_USER);
	return json_pack("{s:I, s:o, s:I, s:I}", "done", done,
		"total", recall->finished == 0 ? json_null() :
			json_integer(done),
		"hits", (json_int_t)(recall->count - open) - failures -
			(json_int_t)recall_count(recall,
						 RECALL_VERDICT_NOT_FOUND),
		"failures", failures);
}

static void add_late_user(const char *username, int64_t copies, void *context)
{
	json_t *list = context;

	json_array_append_new(list, json_pack("{s:s, s:I}", "email", username,
					      "copies", (json_int_t)copies));
}

static bool add_late(json_t *json, const struct recall *recall)
{
	json_t *users;
	int64_t late;

	if (!journal_late_count(recall->id, &late))
		return false;
	/* it may stand because the nodes' settings say so */
	if (recall->stand > 0 || late > 0)
		json_object_set_new(json, "late", json_integer(late));
	if (late == 0)
		return true;
	users = json_array();
	json_object_set_new(json, "late_users", users);
	return journal_late_users(recall->id, NULL, 0, add_late_user, users);
}

/* Where its order stands now, if it has not ended, and what it has taken. Who
   asks again will hear what has come until now. */
static bool add_standing(json_t *json, const struct recall *recall)
{
	json_t *standing;

	if (!standing_of_recall(recall->id, &standing))
		return false;
	if (standing != NULL) {
		json_object_set_new(json, "standing", standing);
		standing_keeper_collect();
	}
	return add_late(json, recall);
}

void action_status(struct http_request *request)
{
	char *id = http_request_path_part(request);
	struct recall *recall = NULL;
	enum journal_result found = JOURNAL_ABSENT;
	json_t *json;

	if (recall_id_is_valid(id))
		found = journal_load(id, &recall);
	free(id);
	if (found == JOURNAL_FAILED) {
		http_reply_journal(request);
		return;
	}
	/* what one may not see does not exist */
	if (recall == NULL || !journal_visible(&request->identity, recall)) {
		http_reply_message(request, 404, "There is no such recall");
		recall_free(recall);
		return;
	}
	json = recall_to_json(recall);
	add_approval(request, json, recall);
	if (recall_kept_until(recall) != 0)
		json_object_set_new(json, "kept_until",
				    json_integer(recall_kept_until(recall)));
	json_object_set_new(json, "actor", json_string(recall->actor.login));
	json_object_set_new(json, "reason", json_string(recall->reason));
	json_object_set_new(json, "force", json_boolean(recall->force));
	json_object_set_new(json, "notify", json_boolean(recall->notify));
	json_object_set_new(json, "dry_run", json_boolean(recall->dry_run));
	/* who asks the same again with another role asks for something else */
	json_object_set_new(json, "role",
			    json_integer(recall->actor.role));
	if (recall->verify_headers)
		json_object_set_new(json, "verify_headers", json_true());
	json_object_set_new(json, "created", json_integer(recall->created));
	json_object_set_new(json, "finished", recall->finished == 0 ?
			    json_null() : json_integer(recall->finished));
	json_object_set_new(json, "progress", progress(recall));
	if (add_standing(json, recall)) {
		http_reply_json(request, 200, json);
	} else {
		json_decref(json);
		http_reply_journal(request);
	}
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
	if (value == NULL || !recall_id_is_valid(value))
		return ok && param_number(request, "before", 0, 1, INT64_MAX,
					  time_r);
	*id_r = value;
	return true;
}

/* A flag of the filter, or -1. */
static bool get_flag(struct http_request *request, const char *name,
		     int *flag_r)
{
	bool value;

	*flag_r = -1;
	if (!param_is_there(request, name))
		return true;
	if (!param_flag(request, name, false, &value))
		return false;
	*flag_r = value;
	return true;
}

static bool get_text(struct http_request *request, const char *name,
		     const char **text_r)
{
	bool ok = true;

	*text_r = http_request_param(request, name, &ok);
	/* an empty one would be in everything */
	if (*text_r != NULL && **text_r == '\0')
		*text_r = NULL;
	return ok;
}

static bool is_state(const char *name)
{
	static const char *const states[] = {
		"running", "paused", "finished", "pending_approval",
		"rejected", "expired"
	};
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i], name) == 0)
			return true;
	}
	return false;
}

static bool check_names(struct http_request *request,
			const struct journal_filter *filter)
{
	if (filter->cmd != NULL && strcmp(filter->cmd, "expunge") != 0 &&
	    strcmp(filter->cmd, "restore") != 0) {
		http_reply_param(request, "cmd", "is neither expunge nor "
				 "restore");
		return false;
	}
	if (filter->status != NULL &&
	    recall_verdict_parse(filter->status) < 0) {
		http_reply_param(request, "verdict", "is not a known verdict");
		return false;
	}
	if (filter->state != NULL && !is_state(filter->state)) {
		http_reply_param(request, "state", "is not a known state");
		return false;
	}
	return true;
}

/* Which recalls are paused is not for the journal to know. */
static void reply_list(struct http_request *request, json_t *list)
{
	const char *id;
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row) {
		id = json_string_value(json_object_get(row, "id"));
		if (json_integer_value(json_object_get(row, "finished")) == 0 &&
		    jobs_is_paused(id))
			json_object_set_new(row, "state",
					    json_string("paused"));
	}
	http_reply_json(request, 200, json_pack("{s:b, s:o}", "success", 1,
						"actions", list));
}

void action_list(struct http_request *request)
{
	struct journal_filter filter = { .limit = LIST_DEFAULT };
	json_t *list;

	if (!get_before(request, &filter.before, &filter.before_id) ||
	    !param_number(request, "since", 0, 1, INT64_MAX, &filter.since) ||
	    !param_number(request, "limit", LIST_DEFAULT, 1, LIST_MAX,
			  &filter.limit) ||
	    !get_text(request, "cmd", &filter.cmd) ||
	    !get_text(request, "actor", &filter.actor) ||
	    !get_text(request, "messageid", &filter.message_id) ||
	    !get_text(request, "reason", &filter.reason) ||
	    !get_text(request, "query", &filter.query) ||
	    !get_text(request, "verdict", &filter.status) ||
	    !get_text(request, "state", &filter.state) ||
	    !get_flag(request, "force", &filter.force) ||
	    !get_flag(request, "notify", &filter.notify) ||
	    !get_flag(request, "dry_run", &filter.dry_run) ||
	    !check_names(request, &filter))
		return;
	jobs_get_paused(&filter.paused);
	list = journal_list(&request->identity, &filter);
	strlist_free(&filter.paused);
	if (list == NULL)
		http_reply_journal(request);
	else
		reply_list(request, list);
}
