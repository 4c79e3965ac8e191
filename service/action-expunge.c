#include <stdlib.h>
#include <string.h>

#include "recall-message-id.h"
#include "actions.h"
#include "audit.h"
#include "http-reply.h"
#include "jobs.h"
#include "journal.h"
#include "log.h"
#include "recall.h"
#include "userdb.h"

#define RETRY_AFTER_JOURNAL 30

/* The parameters of a recall as they came. */
struct expunge_params {
	const char *messageid;
	const char *reason;
	bool force, notify, dry_run;
};

/* Strictly 0 or 1: whoever writes "false" must not get the opposite. */
static bool get_flag(struct http_request *request, const char *name, bool def,
		     bool *value_r)
{
	bool ok = true;
	const char *value = http_request_param(request, name, &ok);

	*value_r = def;
	if (!ok || value == NULL)
		return ok;
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
		http_reply_param(request, name, "is neither 0 nor 1");
		return false;
	}
	*value_r = *value == '1';
	return true;
}

static bool check_messageid(struct http_request *request, const char *value)
{
	enum recall_message_id_error error;
	struct recall_message_id id;

	error = recall_message_id_parse(value, strlen(value), &id);
	if (error == RECALL_MESSAGE_ID_OK)
		return true;
	http_reply_param(request, "messageid",
			 recall_message_id_strerror(error));
	return false;
}

static bool add_address(struct http_request *request, struct recall *recall,
			const char *address)
{
	const char *why = address_check(address);

	if (why == NULL && recall->count == RECALL_USERS_MAX)
		why = "has too many addresses";
	if (why != NULL) {
		http_reply_param(request, "emails", why);
		return false;
	}
	recall_add_user(recall, address);
	return true;
}

/* A value is a JSON array of addresses, or one address. */
static bool add_addresses(struct http_request *request, struct recall *recall,
			  const char *value)
{
	json_t *list, *item;
	bool ok = true;
	size_t i;

	if (*value != '[')
		return add_address(request, recall, value);
	list = json_loads(value, 0, NULL);
	if (list == NULL) {
		http_reply_param(request, "emails", "is not valid JSON");
		return false;
	}
	json_array_foreach(list, i, item) {
		if (!json_is_string(item)) {
			http_reply_param(request, "emails", "has something "
					 "else than strings");
			ok = false;
		} else {
			ok = add_address(request, recall,
					 json_string_value(item));
		}
		if (!ok)
			break;
	}
	json_decref(list);
	return ok;
}

static bool get_emails(struct http_request *request, struct recall *recall)
{
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		if (strcmp(request->params[i].name, "emails") == 0 &&
		    !add_addresses(request, recall, request->params[i].value))
			return false;
	}
	recall_dedup(recall);
	return true;
}

static bool has_emails(const struct http_request *request)
{
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		const char *value = request->params[i].value;

		if (strcmp(request->params[i].name, "emails") == 0 &&
		    *value != '\0' && strcmp(value, "[]") != 0)
			return true;
	}
	return false;
}

/* Everything that is missing is named at once. */
static bool check_required(struct http_request *request, const char *messageid)
{
	static const char what[] = "is a required value";
	bool emails = has_emails(request);

	if (messageid != NULL && emails)
		return true;
	if (messageid == NULL && !emails)
		http_reply_json(request, 400, json_pack("{s:{s:s+, s:s+}}",
			"message", "MESSAGEID", "MESSAGEID ", what,
			"EMAILS", "EMAILS ", what));
	else
		http_reply_missing(request, messageid == NULL ? "messageid" :
							       "emails");
	return false;
}

static bool get_params(struct http_request *request, struct expunge_params *p)
{
	bool ok = true;

	p->messageid = http_request_param(request, "messageid", &ok);
	p->reason = http_request_param(request, "reason", &ok);
	if (!ok)
		return false;
	/* an empty value is as good as none */
	if (p->messageid != NULL && *p->messageid == '\0')
		p->messageid = NULL;
	if (p->reason == NULL)
		p->reason = "";
	if (!check_required(request, p->messageid) ||
	    !check_messageid(request, p->messageid) ||
	    !get_flag(request, "force", false, &p->force) ||
	    !get_flag(request, "notify", true, &p->notify) ||
	    !get_flag(request, "dry_run", false, &p->dry_run))
		return false;
	if (strlen(p->reason) > RECALL_REASON_MAX) {
		http_reply_param(request, "reason", "is too long");
		return false;
	}
	if (has_control(p->reason)) {
		http_reply_param(request, "reason", "has a control character");
		return false;
	}
	return true;
}

/* What a role may do at all; whose mail it may touch is for the plugin to say,
   by the tenant and the senders that go along. */
static bool check_role(struct http_request *request,
		       const struct expunge_params *p)
{
	const struct identity *who = &request->identity;
	bool allowed = false;

	switch (who->role) {
	case ROLE_SUPER:
		allowed = true;
		break;
	case ROLE_ADMIN:
		allowed = *who->tenant != '\0';
		break;
	case ROLE_USER:
		allowed = request->config->auth_revoke_email &&
			  (!p->force || request->config->auth_force_revoke);
		break;
	case ROLE_NONE:
		break;
	}
	if (!allowed)
		http_reply_forbidden(request);
	return allowed;
}

/* A user's own addresses as of now, not as of when the token was made. */
static bool get_senders(struct http_request *request, struct recall *recall)
{
	struct identity identity;
	bool ok = false;

	if (request->identity.role != ROLE_USER)
		return true;
	strlist_add(&recall->senders, request->identity.login);
	switch (userdb_lookup(request->config, request->identity.login,
			      &identity, &recall->senders)) {
	case DOVEADM_OK:
		ok = true;
		break;
	case DOVEADM_FAILED:
		http_reply_forbidden(request);
		break;
	case DOVEADM_UNREACHABLE:
		http_reply_message(request, 502, "The mail system does not "
				   "answer");
		break;
	case DOVEADM_TIMEOUT:
		http_reply_message(request, 504, "The mail system does not "
				   "answer in time");
		break;
	}
	identity_clear(&identity);
	return ok;
}

static struct recall *make_recall(struct http_request *request,
				  const struct expunge_params *p)
{
	struct recall *recall = recall_new();

	recall->messageid = x_strdup(p->messageid);
	recall->reason = x_strdup(p->reason);
	recall->source = x_strdup(request->source);
	recall->force = p->force;
	recall->notify = p->notify;
	recall->dry_run = p->dry_run;
	recall->actor.login = x_strdup(request->identity.login);
	recall->actor.tenant = x_strdup(request->identity.tenant);
	recall->actor.role = request->identity.role;
	if (!get_emails(request, recall) || !get_senders(request, recall)) {
		recall_free(recall);
		return NULL;
	}
	return recall;
}

static void reply_accepted(struct http_request *request, const char *id)
{
	char *location = x_asprintf("/v2/actions/%s", id);

	http_reply_json(request, 202, json_pack("{s:b, s:s, s:s}", "success",
		1, "id", id, "location", location));
	http_reply_header(request, "Location", location);
	free(location);
}

static void reply_recall(struct http_request *request, struct recall *recall)
{
	static const char unreachable[] = "The mail system does not answer";
	json_t *json;

	switch (recall_run(recall, request->config)) {
	case RECALL_INTERRUPTED:
		reply_accepted(request, recall->id);
		return;
	case RECALL_DONE:
		http_reply_json(request, 200, recall_to_json(recall));
		break;
	case RECALL_UNREACHABLE:
		json = recall_to_json(recall);
		json_object_set_new(json, "message", json_string(unreachable));
		http_reply_json(request, 502, json);
		break;
	case RECALL_TIMEOUT:
		json = recall_to_json(recall);
		json_object_set_new(json, "message", json_string(unreachable));
		http_reply_json(request, 504, json);
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

static void cmd_expunge(struct http_request *request)
{
	struct expunge_params p;
	struct recall *recall;
	char id[RECALL_ID_LEN + 1];
	bool async = prefers_async(request);

	if (!get_params(request, &p) || !check_role(request, &p))
		return;
	recall = make_recall(request, &p);
	if (recall == NULL)
		return;
	if (!journal_add(recall, async)) {
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

static const struct {
	const char *name;
	void (*run)(struct http_request *request);
} commands[] = {
	{ "expunge", cmd_expunge },
};

void action_expunge(struct http_request *request)
{
	bool ok = true;
	const char *cmd;
	size_t i;

	if (!action_authenticate(request, false))
		return;
	cmd = http_request_param(request, "cmd", &ok);
	if (!ok)
		return;
	if (cmd == NULL)
		cmd = commands[0].name;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, cmd) == 0) {
			commands[i].run(request);
			return;
		}
	}
	http_reply_param(request, "cmd", "is not a known command");
}
