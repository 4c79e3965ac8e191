#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-id.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "actions.h"
#include "alloc.h"
#include "approvals.h"
#include "asker.h"
#include "audit.h"
#include "http-parse.h"
#include "http-reply.h"
#include "jobs.h"
#include "journal-approval.h"
#include "journal-visible.h"
#include "listing.h"
#include "log.h"
#include "params.h"
#include "reached.h"
#include "recall-action.h"
#include "recall-json.h"
#include "strlist-json.h"
#include "userdb.h"

#define SAMPLES_MAX 5

/* what waits */

static json_t *make_samples(const json_t *rows)
{
	json_t *samples = json_array(), *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row) {
		json_array_append_new(samples, json_pack("{s:O?, s:O?, s:O?}",
			"email", json_object_get(row, RECALL_COLUMN_USERNAME),
			"from", json_object_get(row, RECALL_COLUMN_FROM),
			"subject",
			json_object_get(row, RECALL_COLUMN_SUBJECT)));
	}
	return samples;
}

/* Headers of some of the messages that the approver would see by a search, too;
   nothing where the mail system does not say. silent are URLs of nodes that
   have not answered: whoever asks does not wait for them again and again. */
static json_t *find_samples(const struct http_request *request,
			    const struct recall *recall, struct strlist *silent)
{
	struct listing listing = {
		.config = request->config,
		.command = RECALL_CMD_SEARCH,
		.limit = SAMPLES_MAX,
	};
	enum listing_result result;
	const char *urls;
	json_t *samples;
	size_t i;

	if (recall->count == 0)
		return json_array();
	urls = config_node_urls(request->config, recall->users[0].email);
	if (strlist_has_nocase(silent, urls))
		return json_array();

	/* one command, however many users there are */
	for (i = 0; i < recall->count &&
	     i < (size_t)request->config->doveadm_batch; i++)
		strlist_add(&listing.users, recall->users[i].email);
	listing.params = json_object();
	if (recall->query.count > 0)
		json_object_set_new(listing.params, RECALL_PARAM_QUERY,
				    strlist_to_json(&recall->query));
	else
		json_object_set_new(listing.params, RECALL_PARAM_MESSAGE_ID,
				    json_string(recall->message_id));
	if (request->identity.role == ROLE_ADMIN)
		json_object_set_new(listing.params, RECALL_PARAM_TENANT,
				    json_string(request->identity.tenant));
	result = listing_run(&listing);
	samples = result == LISTING_DONE ? make_samples(listing.rows) :
		json_array();
	if (result == LISTING_UNREACHABLE || result == LISTING_TIMEOUT)
		strlist_add(silent, urls);
	strlist_free(&listing.users);
	json_decref(listing.params);
	json_decref(listing.rows);
	json_decref(listing.errors);
	free(listing.next);
	return samples;
}

static int64_t count_expected(const struct recall *recall)
{
	int64_t total = 0;
	size_t i;

	for (i = 0; i < recall->count; i++)
		total += recall->users[i].expected;
	return total;
}

static json_t *approval_to_json(const struct http_request *request,
				const struct recall *recall,
				struct strlist *silent)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:b, s:I, s:b,"
				 " s:b, s:o}",
		"id", recall->id, "actor", recall->actor.login,
		"tenant", recall->actor.tenant,
		"created", (json_int_t)recall->created,
		"expires", (json_int_t)approval_expires(request->config,
							recall),
		"reason", recall->reason, "all", recall->everyone,
		"users", (json_int_t)recall->count,
		"force", recall->force, "notify", recall->notify,
		"samples", find_samples(request, recall, silent));

	recall_json_set_criteria(json, recall);
	if (recall->query.count > 0)
		json_object_set_new(json, "yes_count",
				    json_integer(count_expected(recall)));
	return json;
}

/* The samples are headers of others' mail. */
static void audit_shown(struct http_request *request, bool all,
			const struct strlist *ids, const json_t *approvals)
{
	char *recalls = audit_list(ids), *count;
	const json_t *approval;
	size_t i, shown = 0;

	json_array_foreach((json_t *)approvals, i, approval)
		shown += json_array_size(json_object_get(approval, "samples"));
	count = x_asprintf("%zu", shown);
	audit_done(request, "approvals", "Recalls that wait shown", all,
		   (const struct audit_field[]) {
			{ AUDIT_RECALL, recalls },
			{ AUDIT_MESSAGES, count },
			{ AUDIT_END, NULL } });
	free(recalls);
	free(count);
}

/* One that can't be read, as in a damaged journal, does not keep the others
   from being decided on. */
static void list_approvals(struct http_request *request,
			   const struct strlist *ids)
{
	struct strlist silent = { NULL, 0, 0 }, shown = { NULL, 0, 0 };
	json_t *approvals = json_array(), *errors = json_array();
	struct recall *recall;
	bool all;
	size_t i;

	for (i = 0; i < ids->count; i++) {
		switch (journal_load(ids->items[i], &recall)) {
		case JOURNAL_FOUND:
			strlist_add(&shown, ids->items[i]);
			json_array_append_new(approvals, approval_to_json(
				request, recall, &silent));
			recall_free(recall);
			break;
		case JOURNAL_ABSENT:
			break;
		case JOURNAL_FAILED:
			json_array_append_new(errors, json_pack("{s:s, s:s}",
				"id", ids->items[i], "error",
				"The journal cannot be read"));
			break;
		}
	}
	all = json_array_size(errors) == 0;
	audit_shown(request, all, &shown, approvals);
	http_reply_json(request, 200, json_pack("{s:b, s:o, s:o}", "success",
		all, "approvals", approvals, "errors", errors));
	strlist_free(&silent);
	strlist_free(&shown);
}

void action_approvals(struct http_request *request)
{
	struct strlist ids = { NULL, 0, 0 };

	if (journal_pending(&request->identity, &ids))
		list_approvals(request, &ids);
	else
		http_reply_journal(request);
	strlist_free(&ids);
}

/* a decision */

static bool get_decision(struct http_request *request, bool *approve_r,
			 const char **reason_r)
{
	const char *decision;
	bool ok = true;

	decision = http_request_param(request, "decision", &ok);
	*reason_r = http_request_param(request, "reason", &ok);
	if (!ok || !param_check_text(request, "reason", *reason_r,
				     RECALL_REASON_MAX) ||
	    !param_check_reason(request, *reason_r))
		return false;
	if (decision == NULL || *decision == '\0') {
		http_reply_missing(request, "decision");
		return false;
	}
	*approve_r = strcmp(decision, "approve") == 0;
	if (!*approve_r && strcmp(decision, "reject") != 0) {
		http_reply_param(request, "decision",
				 "is neither approve nor reject");
		return false;
	}
	return true;
}

/* Whether who asks is another person than the actor, by whatever name either
   has logged in: two aliases of one mailbox need not know of each other. */
static bool check_other(struct http_request *request, const char *actor)
{
	const char *login = request->identity.login;
	struct strlist own = { NULL, 0, 0 }, others = { NULL, 0, 0 };
	char *mailbox, *others_mailbox;
	enum doveadm_result r1, r2;
	bool same;

	r1 = userdb_names(request->config, login, &own, &mailbox);
	r2 = userdb_names(request->config, actor, &others, &others_mailbox);
	same = strlist_has_nocase(&own, actor) ||
		strlist_has_nocase(&own, others_mailbox) ||
		strlist_has_nocase(&others, login) ||
		strlist_has_nocase(&others, mailbox);
	strlist_free(&own);
	strlist_free(&others);
	free(mailbox);
	free(others_mailbox);
	if (same) {
		http_reply_message(request, 403, "Who asked for a recall does "
				   "not approve it");
		return false;
	}
	return reached(request, r1) && reached(request, r2);
}

static void reply_decided(struct http_request *request,
			  const struct recall *recall)
{
	http_reply_json(request, 409, json_pack("{s:s, s:s}", "message",
		"The recall does not wait for approval any more", "state",
		recall_state_name(recall->approval, recall->finished != 0)));
}

static bool check_pending(struct http_request *request,
			  const struct recall *recall)
{
	/* what one may not see does not exist */
	if (recall == NULL || recall->approval == RECALL_NEEDS_NONE ||
	    !journal_visible(&request->identity, recall)) {
		http_reply_message(request, 404, "There is no such recall");
		return false;
	}
	if (recall->approval == RECALL_PENDING &&
	    approval_expires(request->config, recall) > time(NULL))
		return true;
	reply_decided(request, recall);
	return false;
}

static void audit_decision(struct http_request *request, bool approve,
			   const struct recall *recall)
{
	audit_done(request, approve ? "approve" : "reject", approve ?
		   "Message recall approved" : "Message recall rejected", true,
		   (const struct audit_field[]) {
			{ AUDIT_RECALL, recall->id },
			{ AUDIT_ACCOUNT, recall->actor.login },
			{ AUDIT_REASON, recall->decision },
			{ AUDIT_END, NULL } });
}

/* Somebody else has decided, or its time has run out, at the same time. */
static void reply_decided_meanwhile(struct http_request *request,
				    const char *id)
{
	struct recall *recall;

	switch (journal_load(id, &recall)) {
	case JOURNAL_FOUND:
		reply_decided(request, recall);
		recall_free(recall);
		break;
	case JOURNAL_ABSENT:
		http_reply_message(request, 404, "There is no such recall");
		break;
	case JOURNAL_FAILED:
		http_reply_journal(request);
		break;
	}
}

/* Returns false if it was answered. */
static bool journal_decision(struct http_request *request,
			     struct recall *recall, bool approve,
			     const char *reason)
{
	bool claimed;

	recall->approval = approve ? RECALL_APPROVED : RECALL_REJECTED;
	recall->decision = reason == NULL ? NULL : x_strdup(reason);
	recall->decided = time(NULL);
	recall->finished = approve ? 0 : recall->decided;
	if (!journal_decide(recall, &claimed)) {
		http_reply_journal(request);
		return false;
	}
	if (!claimed)
		reply_decided_meanwhile(request, recall->id);
	return claimed;
}

/* What nobody might ask for any more is not approved, whoever tries. */
static bool check_asker(struct http_request *request, struct recall *recall)
{
	const char *why;
	char *text;

	if (!reached(request, asker_check(request->config, recall, &why)))
		return false;
	if (why == NULL)
		return true;
	text = x_asprintf("Who asked for the recall may not do so any more: %s",
			  why);
	log_info("recall %s: rejected: %s", recall->id, text);
	if (journal_decision(request, recall, false, text))
		http_reply_json(request, 409, json_pack("{s:s, s:s}",
			"message", text, "state", "rejected"));
	free(text);
	return false;
}

/* Returns whether the recall has been handed on. */
static bool decide(struct http_request *request, struct recall *recall,
		   bool approve, const char *reason)
{
	recall->approver = x_strdup(request->identity.login);
	if (!journal_decision(request, recall, approve, reason))
		return false;
	audit_decision(request, approve, recall);
	if (!approve) {
		http_reply_json(request, 200, json_pack("{s:b, s:s, s:s}",
			"success", 1, "id", recall->id, "state", "rejected"));
		return false;
	}
	recall_action_reply_accepted(request, recall);
	jobs_add(recall);
	return true;
}

void action_decide(struct http_request *request)
{
	char *id = http_request_path_part(request);
	struct recall *recall = NULL;
	const char *reason;
	bool approve, failed;

	failed = recall_id_is_valid(id) &&
		journal_load(id, &recall) == JOURNAL_FAILED;
	free(id);
	if (failed) {
		http_reply_journal(request);
		return;
	}
	/* a request may be taken back by who made it */
	if (!get_decision(request, &approve, &reason) ||
	    !check_pending(request, recall) ||
	    (approve && (!check_other(request, recall->actor.login) ||
			 !check_asker(request, recall))) ||
	    !decide(request, recall, approve, reason))
		recall_free(recall);
}
