#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "audit.h"
#include "http-reply.h"
#include "jobs.h"
#include "journal.h"
#include "log.h"
#include "params.h"
#include "recall-action.h"

#define RETRY_AFTER_JOURNAL 30
#define RETRY_AFTER_STOP 5

static const char unreachable[] = "The mail system does not answer";

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
	return recall;
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
	if (recall->query != NULL)
		http_reply_param(request, "query", "is not a valid search "
				 "query, or matches everything");
	else
		http_reply_message(request, 400, "The mail system does not "
				   "accept the request");
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
		http_reply_later(request, 503, "The service is about to stop",
				 RETRY_AFTER_STOP);
		break;
	case RECALL_UNREACHABLE:
		http_reply_message(request, 502, unreachable);
		audit_recall(request->config, recall);
		break;
	case RECALL_TIMEOUT:
		http_reply_message(request, 504, unreachable);
		audit_recall(request->config, recall);
		break;
	}
	return false;
}

static void reply_accepted(struct http_request *request, const char *id)
{
	char *location = x_asprintf("/v2/actions/%s", id);

	http_reply_json(request, 202, json_pack("{s:b, s:s, s:s}", "success",
		1, "id", id, "location", location));
	http_reply_header(request, "Location", location);
	free(location);
}

static void reply_unreachable(struct http_request *request,
			      const struct recall *recall, unsigned int status)
{
	json_t *json = recall_to_json(recall);

	json_object_set_new(json, "message", json_string(unreachable));
	http_reply_json(request, status, json);
}

static void reply_recall(struct http_request *request, struct recall *recall)
{
	switch (recall_run(recall, request->config)) {
	case RECALL_INTERRUPTED:
		reply_accepted(request, recall->id);
		return;
	case RECALL_DONE:
		if (recall->refused) {
			reply_refused(request, recall);
			return;
		}
		http_reply_json(request, 200, recall_to_json(recall));
		break;
	case RECALL_UNREACHABLE:
		reply_unreachable(request, recall, 502);
		break;
	case RECALL_TIMEOUT:
		reply_unreachable(request, recall, 504);
		break;
	}
	audit_recall(request->config, recall);
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

void recall_action_run(struct http_request *request, struct recall *recall)
{
	char id[RECALL_ID_LEN + 1];
	bool async = prefers_async(request);

	if (!journal_all(recall, async)) {
		http_reply_later(request, 503, "The journal cannot be written",
				 RETRY_AFTER_JOURNAL);
		recall_free(recall);
	} else if (async) {
		memcpy(id, recall->id, sizeof(id));
		http_reply_header(request, "Preference-Applied",
				  "respond-async");
		reply_accepted(request, id);
		if (!jobs_add(recall))
			log_warning("recall %s: waits for the next start", id);
	} else {
		reply_recall(request, recall);
		recall_free(recall);
	}
}
