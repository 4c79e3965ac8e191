#include "recall-limits.h"
#include "actions.h"
#include "audit.h"
#include "brakes-nodes.h"
#include "brakes.h"
#include "http-parse.h"
#include "http-reply.h"
#include "jobs.h"
#include "params.h"

/* As it is now; the caller gets the reference. */
static json_t *stop_to_json(void)
{
	struct journal_stop stop;
	json_t *json;

	brakes_get(&stop);
	json = json_pack("{s:b, s:b}", "success", 1, "stopped",
			 stop.actor != NULL);
	if (stop.actor != NULL) {
		json_object_set_new(json, "actor", json_string(stop.actor));
		json_object_set_new(json, "reason", json_string(stop.reason));
		json_object_set_new(json, "since", json_integer(stop.since));
	}
	journal_stop_free(&stop);
	return json;
}

void action_stop_state(struct http_request *request)
{
	http_reply_json(request, 200, stop_to_json());
}

/* Tells them what holds now. Somebody else may tell them the opposite at the
   same time, and who is the last one is told by the nodes alone: so whoever
   finds that something else holds by now says that. last is the last stop that
   is known of. */
static json_t *tell_nodes(struct http_request *request, bool all,
			  struct journal_stop *last, bool *ok_r)
{
	const struct brakes_release by = {
		.who = request->identity.login,
		.all = all,
	};
	struct journal_stop stop;
	json_t *nodes = NULL;
	bool release;

	do {
		json_decref(nodes);
		brakes_get(&stop);
		release = stop.actor == NULL;
		if (!release) {
			journal_stop_free(last);
			*last = stop;
		}
		nodes = brakes_tell_nodes(request->config, release ? &by : NULL,
					  last, ok_r);
	} while (brakes_stopped() == release);
	return nodes;
}

/* What the service itself does holds, whether nodes answer or not. Frees the
   stop that was before. */
static void reply(struct http_request *request, bool release, bool all,
		  const char *reason, struct journal_stop *before)
{
	json_t *nodes, *json;
	bool ok;

	nodes = tell_nodes(request, all, before, &ok);
	journal_stop_free(before);
	if (release)
		jobs_unpause();
	audit_done(request, release ? "release" : "stop", release ?
		   "Recalls released" : "Recalls stopped", ok,
		   (const struct audit_field[]) {
			{ AUDIT_REASON, *reason == '\0' ? NULL : reason },
			{ AUDIT_END, NULL } });
	json = stop_to_json();
	json_object_set_new(json, "success", json_boolean(ok));
	json_object_set_new(json, "nodes", nodes);
	http_reply_json(request, 200, json);
}

void action_release(struct http_request *request)
{
	struct journal_stop before;
	bool all;

	if (!param_flag(request, "all", false, &all))
		return;
	/* nodes may not have heard of the end of one that somebody else
	   releases at this moment */
	brakes_get_last(&before);
	if (brakes_release()) {
		reply(request, true, all, "", &before);
	} else {
		journal_stop_free(&before);
		http_reply_journal(request);
	}
}

void action_stop(struct http_request *request)
{
	struct journal_stop before = { NULL, NULL, 0 };
	const char *reason;
	bool release, ok = true;

	reason = http_request_param(request, "reason", &ok);
	if (!ok || !param_flag(request, "release", false, &release) ||
	    !param_check_text(request, "reason", reason, RECALL_REASON_MAX))
		return;
	if (reason == NULL)
		reason = "";
	if (!release && param_is_given(request, "all")) {
		http_reply_param(request, "all", "goes with RELEASE=1");
	} else if (release) {
		/* only a stop goes without the audit trail */
		request->audit = "release";
		if (audit_check(request))
			action_release(request);
	} else if (brakes_stop(request->identity.login, reason))
		reply(request, false, false, reason, &before);
	else
		http_reply_journal(request);
}
