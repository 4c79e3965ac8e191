#include <stdlib.h>
#include <string.h>

#include "recall-verdict.h"
#include "actions.h"
#include "alloc.h"
#include "brakes.h"
#include "http-parse.h"
#include "http-reply.h"
#include "identity.h"
#include "metrics.h"
#include "params.h"
#include "reached.h"
#include "recall-action.h"
#include "recall-run.h"
#include "strlist.h"
#include "userdb.h"

#define COUNT_MAX 1000000000

/* The parameters of a recall as they came. */
struct expunge_params {
	struct param_criteria criteria;
	const char *reason;
	bool force, notify, dry_run;
	/* 0 if they were not given */
	int64_t yes_count, stand;
};

/* Everything that is missing is named at once. */
static bool check_required(struct http_request *request)
{
	const char *missing[4] = { NULL };
	size_t n = 0;

	if (!param_is_given(request, "messageid") &&
	    !param_is_given(request, "query"))
		missing[n++] = "messageid";
	if (!param_is_given(request, "emails") &&
	    !param_is_there(request, "all"))
		missing[n++] = "emails";
	if (n > 0)
		param_reply_missing(request, missing);
	return n == 0;
}

static bool check_yes_count(struct http_request *request,
			    const struct expunge_params *p)
{
	if (p->criteria.message_id != NULL &&
	    param_is_given(request, "yes_count")) {
		http_reply_param(request, "yes_count", "goes with a QUERY");
		return false;
	}
	if (p->criteria.message_id != NULL || p->dry_run)
		return true;
	if (!param_is_given(request, "yes_count")) {
		http_reply_missing(request, "yes_count");
		return false;
	}
	/* of what is still to come there is nothing to be counted */
	if (p->yes_count == 0 && p->stand == 0) {
		http_reply_param(request, "yes_count",
				 "is 0, which goes with STAND alone");
		return false;
	}
	return true;
}

/* A user's recall is not for others to be reminded of for ever. */
static int64_t max_stand(const struct http_request *request)
{
	return request->identity.role == ROLE_USER ?
		request->config->recall_max_stand : RECALL_STAND_MAX_SECS;
}

static bool get_params(struct http_request *request, struct expunge_params *p)
{
	bool ok = true;

	memset(p, 0, sizeof(*p));
	p->reason = http_request_param(request, "reason", &ok);
	return ok && check_required(request) &&
	       param_criteria(request, &p->criteria) &&
	       param_flag(request, "force", false, &p->force) &&
	       param_flag(request, "notify", true, &p->notify) &&
	       param_flag(request, "dry_run", false, &p->dry_run) &&
	       param_number(request, "yes_count", 0, 0, COUNT_MAX,
			    &p->yes_count) &&
	       param_duration(request, "stand", max_stand(request),
			      &p->stand) &&
	       check_yes_count(request, p) &&
	       param_check_text(request, "reason", p->reason,
				RECALL_REASON_MAX) &&
	       (p->dry_run || param_check_reason(request, p->reason));
}

/* A user's own addresses as of now, not as of when the token was made. */
static bool get_senders(struct http_request *request, struct recall *recall)
{
	enum doveadm_result result;
	struct identity identity;

	if (request->identity.role != ROLE_USER)
		return true;
	strlist_add(&recall->senders, request->identity.login);
	result = userdb_lookup(request->config, request->identity.login,
			       &identity, &recall->senders);
	if (reached(request, result) && result == DOVEADM_FAILED)
		http_reply_forbidden(request);
	identity_clear(&identity);
	return result == DOVEADM_OK;
}

/* Nobody can say how many messages of everyone's a query may delete. */
static bool check_everyone(struct http_request *request,
			   const struct recall *recall)
{
	if (!recall->everyone || recall->query.count == 0 || recall->dry_run)
		return true;
	http_reply_param(request, "all",
			 "goes with a MESSAGEID, or with DRY_RUN");
	return false;
}

/* Whether the role may recall from so many at a time. */
static bool check_users(struct http_request *request,
			const struct recall *recall)
{
	int64_t max = brakes_users(request->config, recall->actor.role);
	char *why;

	if (recall->dry_run || max == 0 ||
	    (!recall->everyone && (int64_t)recall->count <= max))
		return true;
	why = x_asprintf("has more than the %lld addresses that a recall of "
			 "this role may have", (long long)max);
	http_reply_param(request, recall->everyone ? "all" : "emails", why);
	free(why);
	return false;
}

/* Takes the query over. */
static struct recall *make_recall(struct http_request *request,
				  struct expunge_params *p)
{
	struct recall *recall = recall_action_new(request, p->reason);

	if (p->criteria.message_id != NULL) {
		free(recall->message_id);
		recall->message_id = x_strdup(p->criteria.message_id);
	} else {
		recall->query = p->criteria.query;
		memset(&p->criteria.query, 0, sizeof(p->criteria.query));
	}
	recall->verify_headers = p->criteria.verify_headers;
	recall->stand = p->dry_run ? 0 : p->stand;
	recall->force = p->force;
	recall->notify = p->notify;
	recall->dry_run = p->dry_run;
	recall->yes_count = p->dry_run ? 0 : p->yes_count;
	if (!recall_action_get_key(request, recall) ||
	    !recall_action_get_users(request, recall) ||
	    !check_everyone(request, recall) ||
	    !check_users(request, recall) ||
	    !get_senders(request, recall)) {
		recall_free(recall);
		return NULL;
	}
	return recall;
}

/* Takes over what a dry run found: those who have something to lose are asked
   once more, and for no more than that. Returns how many messages these are.
   The others have their verdicts. */
static int64_t take_counts(struct recall *recall)
{
	struct recall_user *user;
	int64_t total = 0;
	size_t i;

	for (i = 0; i < recall->count; i++) {
		user = &recall->users[i];
		/* what stands is for those who have nothing yet, too */
		if (recall->stand > 0 &&
		    user->verdict == RECALL_VERDICT_NOT_FOUND)
			recall_user_reset(user);
		if (user->verdict != RECALL_VERDICT_WOULD_EXPUNGE)
			continue;
		total += user->copies;
		user->expected = user->copies;
		recall_user_reset(user);
	}
	return total;
}

static int cmp_mailbox_users(const void *p1, const void *p2)
{
	const struct recall_user *const *u1 = p1, *const *u2 = p2;

	return strcmp((*u1)->mailbox_user, (*u2)->mailbox_user);
}

/* Whether no mailbox is asked for by two names: it would be counted twice, and
   have nothing left to delete the second time. */
static bool check_names(struct http_request *request, struct recall *recall)
{
	const struct recall_user **users;
	char *why = NULL;
	size_t i, n = 0;

	users = x_calloc(recall->count, sizeof(*users));
	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].mailbox_user != NULL)
			users[n++] = &recall->users[i];
	}
	qsort(users, n, sizeof(*users), cmp_mailbox_users);
	for (i = 1; i < n && why == NULL; i++) {
		if (cmp_mailbox_users(&users[i - 1], &users[i]) == 0)
			why = x_asprintf("names the mailbox of %s twice: %s, "
					 "%s", users[i]->mailbox_user,
					 users[i - 1]->email, users[i]->email);
	}
	free(users);
	if (why == NULL)
		return true;
	http_reply_param(request, "emails", why);
	free(why);
	return false;
}

static void count_verdicts(const struct recall *recall)
{
	size_t i;

	for (i = 0; i < recall->count && !recall->dry_run; i++) {
		if (recall->users[i].verdict >= 0)
			metrics_verdict(recall->users[i].verdict);
	}
}

/* Users who could not be counted, or not in all of their mailboxes. */
static size_t count_uncounted(const struct recall *recall)
{
	size_t i, n = 0;

	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict == RECALL_VERDICT_ERROR ||
		    recall->users[i].error != NULL)
			n++;
	}
	return n;
}

/* Why it is not done. What is missing from another number may be with users who
   could not be counted. */
static void reply_not_counted(struct http_request *request, const char *why,
			      size_t uncounted, int64_t total)
{
	char *message;

	message = uncounted == 0 ? x_strdup(why) :
		x_asprintf("%s. Users who could not be counted: %zu; a dry "
			   "run says why", why, uncounted);
	http_reply_json(request, 409, json_pack("{s:s, s:I}", "message",
		message, "count", (json_int_t)total));
	free(message);
}

/* A slip in a query must not empty mailboxes: what it finds is counted over
   all users first, and has to be what the caller expects. For a dry run that is
   all. */
static bool check_count(struct http_request *request, struct recall *recall,
			int64_t yes_count)
{
	enum recall_outcome outcome = recall_probe(recall, request->config);
	size_t uncounted = count_uncounted(recall);
	int64_t total;

	if (!recall_action_check(request, recall, outcome) ||
	    !check_names(request, recall))
		return false;
	total = recall->dry_run ? yes_count : take_counts(recall);
	/* an order takes all that it finds, once something arrives */
	if (total == yes_count && (recall->stand == 0 || uncounted == 0)) {
		count_verdicts(recall);
		return true;
	}
	/* the same request may have taken them meanwhile */
	if (recall_action_repeat(request, recall))
		return false;
	reply_not_counted(request, total != yes_count ? "The query finds "
			  "another number of messages to delete" : "An order "
			  "by a query is for users who have been counted",
			  uncounted, total);
	return false;
}

static void run_expunge(struct http_request *request, struct expunge_params *p)
{
	struct recall *recall;

	recall = make_recall(request, p);
	if (recall == NULL)
		return;
	/* what was deleted is not found again: a repeated request must not be
	   counted for */
	if (recall->query.count == 0 || recall->everyone ||
	    (!recall_action_repeat(request, recall) &&
	     check_count(request, recall, p->yes_count)))
		recall_action_run(request, recall);
	else
		recall_free(recall);
}

void action_expunge(struct http_request *request)
{
	struct expunge_params p;

	if (get_params(request, &p))
		run_expunge(request, &p);
	strlist_free(&p.criteria.query);
}
