#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-verdict.h"
#include "alloc.h"
#include "approvals.h"
#include "asker.h"
#include "audit-log.h"
#include "audit.h"
#include "brakes.h"
#include "http-reply.h"
#include "jobs.h"
#include "journal-key.h"
#include "journal.h"
#include "late-users.h"
#include "log.h"
#include "params.h"
#include "query-word.h"
#include "recall-audit.h"
#include "recall-action.h"
#include "recall-json.h"
#include "strlist.h"

#define KEY_MAX 255
#define RETRY_AFTER_STOP 5

struct recall *recall_action_new(const struct http_request *request,
				 const char *reason)
{
	struct recall *recall = recall_new();

	if (reason != NULL) {
		free(recall->reason);
		recall->reason = x_strdup(reason);
	}
	recall->source = x_strdup(request->source);
	recall->actor.login = x_strdup(request->identity.login);
	recall->actor.tenant = x_strdup(request->identity.tenant);
	recall->actor.role = request->identity.role;
	recall->actor.issued = request->identity.issued;
	return recall;
}

bool recall_action_get_users(struct http_request *request,
			     struct recall *recall)
{
	if (!param_flag(request, "all", false, &recall->everyone))
		return false;
	if (!recall->everyone)
		return recall_action_add_emails(request, recall);
	if (!param_is_there(request, "emails"))
		return true;
	http_reply_param(request, "all", "is given besides EMAILS");
	return false;
}

bool recall_action_add_emails(struct http_request *request,
			      struct recall *recall)
{
	struct strlist emails = { NULL, 0, 0 };
	bool ok = param_emails(request, &emails);
	size_t i;

	for (i = 0; ok && i < emails.count; i++)
		recall_add_user(recall, emails.items[i]);
	strlist_free(&emails);
	if (ok)
		recall_dedup(recall);
	return ok;
}

static void reply_refused(struct http_request *request,
			  const struct recall *recall)
{
	char *why;

	if (recall->kind == RECALL_EXPUNGE && recall->query.count > 0) {
		why = query_word_why(&recall->query);
		http_reply_param(request, "query", why != NULL ? why :
				 "is not a valid search query, or matches "
				 "everything");
		free(why);
	} else {
		http_reply_message(request, 400, "The mail system does not "
				   "accept the request");
	}
}

bool recall_action_check(struct http_request *request,
			 const struct recall *recall,
			 enum recall_outcome outcome)
{
	switch (outcome) {
	case RECALL_DONE:
		if (!recall->refused)
			return true;
		reply_refused(request, recall);
		break;
	case RECALL_INTERRUPTED:
	case RECALL_PAUSED:
	case RECALL_YIELDED:
		http_reply_later(request, 503, "The service is about to stop",
				 RETRY_AFTER_STOP);
		break;
	case RECALL_UNREACHABLE:
	case RECALL_TIMEOUT:
		http_reply_unreachable(request, outcome == RECALL_TIMEOUT,
				       NULL);
		audit_recalled(request, recall);
		break;
	}
	return false;
}

void recall_action_reply_accepted(struct http_request *request,
				  const struct recall *recall)
{
	char *location = x_asprintf("/v2/actions/%s", recall->id);
	json_t *json = json_pack("{s:b, s:s, s:s}", "success", 1,
				 "id", recall->id, "location", location);

	if (recall->finished == 0 &&
	    (recall->approval != RECALL_NEEDS_NONE || brakes_stopped() ||
	     jobs_is_paused(recall->id)))
		json_object_set_new(json, "state", json_string(
			recall_json_state(recall->id, recall->approval,
					  false)));
	http_reply_json(request, 202, json);
	http_reply_header(request, "Location", location);
	free(location);
}

static void reply_outcome(struct http_request *request, struct recall *recall,
			  enum recall_outcome outcome)
{
	switch (outcome) {
	case RECALL_PAUSED:
		if (!recall->unsaved)
			jobs_pause(recall->id);
		recall_action_reply_accepted(request, recall);
		return;
	case RECALL_INTERRUPTED:
	case RECALL_YIELDED:
		recall_action_reply_accepted(request, recall);
		return;
	case RECALL_DONE:
		if (recall->refused) {
			reply_refused(request, recall);
			recall_audited(recall->id, audit_log_lost());
			return;
		}
		http_reply_json(request, 200, recall_to_json(recall));
		break;
	case RECALL_UNREACHABLE:
	case RECALL_TIMEOUT:
		http_reply_unreachable(request, outcome == RECALL_TIMEOUT,
				       recall_to_json(recall));
		break;
	}
	audit_recalled(request, recall);
}

/* RFC 7240: preferences are separated by commas, and a preference's parameters
   by semicolons. */
static bool prefers_async(const struct http_request *request)
{
	static const char name[] = "respond-async";
	const char *p = request->prefer;
	size_t len = strlen(name);

	while (p != NULL && *p != '\0') {
		p += strspn(p, ", \t");
		if (strncasecmp(p, name, len) == 0 &&
		    strchr(",; \t", p[len]) != NULL)
			return true;
		p += strcspn(p, ",");
	}
	return false;
}

/* Also writes the verdicts that were known before. */
static bool journal_all(const struct recall *recall, bool promised)
{
	size_t *known, n = 0, i;
	bool ok;

	if (!journal_add(recall, promised))
		return false;
	known = x_calloc(recall->count, sizeof(*known));
	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict >= 0)
			known[n++] = i;
	}
	ok = n == 0 || journal_save(recall, known, n);
	free(known);
	return ok;
}

/* As the journal has it: since it stands somebody may look at its users at the
   same time. */
static struct recall *read_anew(struct recall *recall)
{
	struct recall *now;

	if (journal_load(recall->id, &now) != JOURNAL_FOUND)
		return recall;
	recall_free(recall);
	return now;
}

/* Answers for a recall that is in the journal, and frees it. again is whether
   it had finished before. */
static void run_journalled(struct http_request *request, struct recall *recall,
			   bool async, bool again)
{
	enum recall_outcome outcome;

	if (!async) {
		outcome = recall_run(recall, request->config);
		if (again && outcome == RECALL_DONE && !recall->refused &&
		    !recall->unsaved)
			recall = read_anew(recall);
		reply_outcome(request, recall, outcome);
		if (!jobs_keep(recall, outcome))
			recall_free(recall);
		return;
	}
	recall_action_reply_accepted(request, recall);
	jobs_add(recall);
}

bool recall_action_add_late(struct http_request *request,
			    struct recall *recall, bool whole)
{
	switch (late_users_add(recall, request->config)) {
	case LATE_USERS_OK:
		return true;
	case LATE_USERS_INCOMPLETE:
		if (!whole)
			return true;
		/* fall through */
	case LATE_USERS_BEHIND:
		http_reply_unreachable(request, false, NULL);
		break;
	case LATE_USERS_FAILED:
		http_reply_journal(request);
		break;
	}
	return false;
}

bool recall_action_get_key(struct http_request *request, struct recall *recall)
{
	const char *p, *key = request->idempotency_key;

	if (key == NULL)
		return true;
	for (p = key; *p > 0x20 && *p < 0x7f; p++) ;
	if (*p != '\0' || p == key || p - key > KEY_MAX) {
		http_reply_param(request, "idempotency-key",
				 "is not 1 to 255 visible characters of ASCII");
		return false;
	}
	recall->key = x_strdup(key);
	return true;
}

/* What the caller has asked for before under this name. */
static enum journal_result
find_before(const struct recall *recall, struct recall **before_r)
{
	*before_r = NULL;
	return recall->key == NULL ? JOURNAL_ABSENT :
		journal_load_key(&recall->actor, recall->key, before_r);
}

static void audit_repeated(struct http_request *request,
			   const struct recall *recall)
{
	audit_done(request, "recall-repeated", "Recall asked for again", true,
		   (const struct audit_field[]) {
			{ AUDIT_RECALL, recall->id },
			{ AUDIT_IDEMPOTENCY_KEY, recall->key },
			{ AUDIT_END, NULL } });
}

/* Frees before. */
static void reply_repeated(struct http_request *request, struct recall *before,
			   const struct recall *recall)
{
	bool async = prefers_async(request), claimed = false;

	if (!recall_is_same(before, recall)) {
		http_reply_message(request, 422, "The Idempotency-Key is that "
				   "of another request");
		recall_free(before);
		return;
	}
	if (async)
		http_reply_header(request, "Preference-Applied",
				  "respond-async");
	if (before->finished != 0 && !recall_is_denied(before) &&
	    (recall_count(before, RECALL_VERDICT_ERROR) > 0 ||
	     recall_count_nodes(before, RECALL_NODE_FAILED) > 0) &&
	    !journal_reopen(before, &claimed)) {
		http_reply_journal(request);
	} else if (claimed) {
		/* who is no error any more is not asked about */
		before = read_anew(before);
		log_info("recall %s: asked for again, %zu of %zu users failed",
			 before->id, recall_count(before, -1), before->count);
		run_journalled(request, before, async || before->everyone,
			       true);
		return;
	} else {
		if (async || before->finished == 0)
			recall_action_reply_accepted(request, before);
		else
			http_reply_json(request, 200, recall_to_json(before));
		audit_repeated(request, before);
	}
	recall_free(before);
}

bool recall_action_repeat(struct http_request *request,
			  const struct recall *recall)
{
	struct recall *before;

	switch (find_before(recall, &before)) {
	case JOURNAL_FOUND:
		reply_repeated(request, before, recall);
		return true;
	case JOURNAL_ABSENT:
		return false;
	case JOURNAL_FAILED:
		break;
	}
	http_reply_journal(request);
	return true;
}

/* It runs once somebody else agrees. */
static void reply_pending(struct http_request *request,
			  const struct recall *recall)
{
	struct strlist emails = { NULL, 0, 0 };
	char *users, *query = recall_query_text(recall);
	size_t i;

	for (i = 0; i < recall->count; i++)
		strlist_add(&emails, recall->users[i].email);
	users = audit_list(&emails);
	strlist_free(&emails);
	recall_action_reply_accepted(request, recall);
	audit_done(request, "recall-pending", "Message recall waits for "
		   "approval", true, (const struct audit_field[]) {
			{ AUDIT_RECALL, recall->id },
			{ AUDIT_MESSAGE_ID, query == NULL ?
				recall->message_id : NULL },
			{ AUDIT_QUERY, query },
			{ AUDIT_USERS, users },
			{ AUDIT_IDEMPOTENCY_KEY, recall->key },
			{ AUDIT_REASON, recall->reason },
			{ AUDIT_END, NULL } });
	free(users);
	free(query);
}

void recall_action_run(struct http_request *request, struct recall *recall)
{
	static pthread_mutex_t add_lock = PTHREAD_MUTEX_INITIALIZER;
	bool async = prefers_async(request);
	enum journal_result found;
	struct recall *before;
	int64_t wait = 0;

	asker_identify(request->config, recall);
	/* of two at the same time one is the first: under the same key, and as
	   to what one person may recall within an hour */
	pthread_mutex_lock(&add_lock);
	found = find_before(recall, &before);
	if (found == JOURNAL_ABSENT) {
		wait = brakes_wait(request->config, recall);
		if (wait < 0 ||
		    (wait == 0 &&
		     (!approval_require(request->config, recall) ||
		      !journal_all(recall, async || recall->everyone ||
				   recall->approval == RECALL_PENDING))))
			found = JOURNAL_FAILED;
	}
	pthread_mutex_unlock(&add_lock);

	switch (found) {
	case JOURNAL_FOUND:
		reply_repeated(request, before, recall);
		break;
	case JOURNAL_ABSENT:
		if (wait > 0) {
			http_reply_later(request, 429, "There were too many "
					 "recalls within an hour", wait);
			break;
		}
		if (async)
			http_reply_header(request, "Preference-Applied",
					  "respond-async");
		if (recall->approval == RECALL_PENDING) {
			reply_pending(request, recall);
			break;
		}
		run_journalled(request, recall, async || recall->everyone,
			       false);
		return;
	case JOURNAL_FAILED:
		http_reply_journal(request);
		break;
	}
	recall_free(recall);
}
