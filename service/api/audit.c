#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-verdict.h"
#include "audit.h"
#include "audit-limit.h"
#include "audit-log.h"
#include "http-reply.h"
#include "log.h"
#include "metrics.h"
#include "params.h"

#define RETRY_AFTER_AUDIT 30

static void write_line(const struct config *config, struct strbuf *line)
{
	audit_log_write(config, line->data);
}

static void add_outcome(struct strbuf *line, bool success)
{
	audit_cef_add(line, AUDIT_OUTCOME, success ? "success" : "failure");
}

/* Whether the item still fits; else what is left is counted. */
static bool add_item(struct strbuf *b, const char *item, size_t left)
{
	/* "," and ",+10000" */
	if (b->len + strlen(item) + 8 > AUDIT_LIST_MAX) {
		strbuf_addf(b, "%s+%zu", b->len == 0 ? "" : ",", left);
		return false;
	}
	strbuf_addf(b, "%s%s", b->len == 0 ? "" : ",", item);
	return true;
}

char *audit_list(const struct strlist *list)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	strbuf_add(&b, "", 0);
	for (i = 0; i < list->count; i++) {
		if (!add_item(&b, list->items[i], list->count - i))
			break;
	}
	return b.data;
}

/* recalls */

/* Of an alias also whose mailbox it is. */
static char *user_text(const struct recall_user *user)
{
	const char *verdict = user->verdict < 0 ? "-" :
		recall_verdict_name(user->verdict);

	if (user->mailbox_user == NULL ||
	    strcasecmp(user->mailbox_user, user->email) == 0)
		return x_asprintf("%s:%s", user->email, verdict);
	return x_asprintf("%s(%s):%s", user->email, user->mailbox_user,
			  verdict);
}

static char *list_users(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	char *item;
	bool fits = true;
	size_t i;

	strbuf_add(&b, "", 0);
	for (i = 0; i < recall->count && fits; i++) {
		item = user_text(&recall->users[i]);
		fits = add_item(&b, item, recall->count - i);
		free(item);
	}
	return b.data;
}

static char *list_verdicts(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i, n;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		n = recall_count(recall, i);
		if (n > 0)
			strbuf_addf(&b, "%s%s:%zu", b.len == 0 ? "" : ",",
				    recall_verdict_name(i), n);
	}
	return b.data;
}

static void begin_recall(struct strbuf *line, const struct config *config,
			 const struct recall *recall, bool refused)
{
	enum audit_severity severity = refused ? AUDIT_REFUSED : AUDIT_DONE;

	/* rules that wait for recalls must not take it for one */
	if (recall->dry_run)
		audit_cef_begin(line, config, "recall-dry-run",
				"Message recall, dry run", severity);
	else if (recall->kind == RECALL_RESTORE)
		audit_cef_begin(line, config, "restore", "Message restore",
				severity);
	else
		audit_cef_begin(line, config, "recall", "Message recall",
				severity);
}

void audit_recall(const struct config *config, const struct recall *recall)
{
	struct strbuf line = { NULL, 0, 0 };
	size_t errors = recall_count(recall, RECALL_VERDICT_ERROR), refused;
	char *users, *verdicts;

	/* mail of another tenant, or that somebody else sent */
	refused = recall_count(recall, RECALL_VERDICT_FORBIDDEN) +
		recall_count(recall, RECALL_VERDICT_NOT_SENDER);
	log_info("recall %s%s: %s from %s: %zu users, %zu expunged, %zu errors",
		 recall->id, recall->dry_run ? " (dry run)" : "",
		 recall->actor.login, recall->source, recall->count,
		 recall_count(recall, RECALL_VERDICT_EXPUNGED), errors);
	if (!config->audit_cef_enabled)
		return;
	users = list_users(recall);
	verdicts = list_verdicts(recall);
	begin_recall(&line, config, recall, refused > 0);
	audit_cef_add(&line, AUDIT_SOURCE, recall->source);
	audit_cef_add(&line, AUDIT_LOGIN, recall->actor.login);
	audit_cef_add(&line, AUDIT_TENANT, recall->actor.tenant);
	add_outcome(&line, errors + refused == 0);
	audit_cef_add(&line, AUDIT_ID, recall->id);
	if (recall->query == NULL)
		audit_cef_add(&line, AUDIT_MESSAGEID, recall->messageid);
	audit_cef_add(&line, AUDIT_QUERY, recall->query);
	audit_cef_add(&line, AUDIT_USERS, users);
	audit_cef_add(&line, AUDIT_VERDICTS, verdicts);
	audit_cef_add(&line, AUDIT_RECALL, recall->target);
	if (recall->kind == RECALL_EXPUNGE) {
		audit_cef_add_number(&line, AUDIT_FORCE, recall->force);
		audit_cef_add_number(&line, AUDIT_NOTIFY, recall->notify);
		audit_cef_add_number(&line, AUDIT_DRY_RUN, recall->dry_run);
	}
	audit_cef_add(&line, AUDIT_IDEMPOTENCY_KEY, recall->key);
	audit_cef_add(&line, AUDIT_REASON, recall->reason);
	write_line(config, &line);
	free(users);
	free(verdicts);
}

void audit_recalled(struct http_request *request, const struct recall *recall)
{
	request->audited = true;
	audit_recall(request->config, recall);
}

/* other events */

static void add_who(struct strbuf *line, const struct http_request *request)
{
	audit_cef_add(line, AUDIT_SOURCE, request->source);
	audit_cef_add(line, AUDIT_LOGIN, request->identity.login);
	audit_cef_add(line, AUDIT_TENANT, request->identity.tenant);
}

void audit_done(struct http_request *request, const char *event,
		const char *name, bool success,
		const struct audit_field *fields)
{
	struct strbuf line = { NULL, 0, 0 };

	request->audited = true;
	log_info("%s: %s from %s: %s", event, request->identity.login,
		 request->source, success ? "done" : "failed");
	if (!request->config->audit_cef_enabled)
		return;
	audit_cef_begin(&line, request->config, event, name,
			strcmp(event, "login") == 0 ? AUDIT_LOGGED_IN :
			AUDIT_DONE);
	add_who(&line, request);
	add_outcome(&line, success);
	for (; fields->key != AUDIT_END; fields++)
		audit_cef_add(&line, fields->key, fields->value);
	write_line(request->config, &line);
}

/* refusals */

/* Parameters that say what a request is about. */
static const struct {
	const char *name;
	enum audit_key key;
} targets[] = {
	{ "messageid", AUDIT_MESSAGEID },
	{ "emails", AUDIT_USERS },
	{ "id", AUDIT_RECALL },
	{ "force", AUDIT_FORCE },
	{ "notify", AUDIT_NOTIFY },
	{ "dry_run", AUDIT_DRY_RUN },
	{ "fields", AUDIT_FIELDS },
	{ "login", AUDIT_ACCOUNT },
	{ "user", AUDIT_ACCOUNT },
	{ "jti", AUDIT_TOKEN },
	{ "mailbox", AUDIT_MAILBOX },
	{ "rights", AUDIT_RIGHTS },
	{ "reason", AUDIT_REASON },
};

static void add_target(struct strbuf *line, const struct http_request *request,
		       const char *name, enum audit_key key)
{
	struct strlist values = { NULL, 0, 0 };
	bool flag;
	char *text;

	param_values(request, name, &values);
	/* a number's key has nothing else */
	if (key == AUDIT_FORCE || key == AUDIT_NOTIFY || key == AUDIT_DRY_RUN) {
		if (values.count == 1 &&
		    param_parse_flag(values.items[0], &flag))
			audit_cef_add_number(line, key, flag);
	} else if (values.count == 1) {
		audit_cef_add(line, key, values.items[0]);
	} else if (values.count > 1) {
		text = audit_list(&values);
		audit_cef_add(line, key, text);
		free(text);
	}
	strlist_free(&values);
}

static void add_targets(struct strbuf *line,
			const struct http_request *request)
{
	struct strlist query = { NULL, 0, 0 };
	enum audit_key last = AUDIT_END;
	size_t i, before;
	char *text;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		before = line->len;
		if (targets[i].key != last)
			add_target(line, request, targets[i].name,
				   targets[i].key);
		if (line->len > before)
			last = targets[i].key;
	}
	param_values(request, "query", &query);
	if (query.count > 0) {
		text = param_query_text(&query);
		audit_cef_add(line, AUDIT_QUERY, text);
		free(text);
	}
	strlist_free(&query);
	if (strchr(request->route->path, '{') != NULL) {
		text = http_request_path_part(request);
		audit_cef_add(line, AUDIT_USERS, text);
		free(text);
	} else if (request->route->path[strlen(request->route->path) - 1] ==
		   '/') {
		audit_cef_add(line, AUDIT_RECALL,
			      http_request_path_id(request));
	}
	audit_cef_add(line, AUDIT_IDEMPOTENCY_KEY, request->idempotency_key);
}

static void report_left_out(const struct config *config, const char *address,
			    uint64_t lines)
{
	struct strbuf line = { NULL, 0, 0 };

	log_warning("%llu more requests from %s refused",
		    (unsigned long long)lines, address);
	metrics_audit_left_out(lines);
	if (!config->audit_cef_enabled)
		return;
	audit_cef_begin(&line, config, "left-out", "Requests refused, lines "
			"left out", AUDIT_REFUSED);
	audit_cef_add(&line, AUDIT_SOURCE, address);
	add_outcome(&line, false);
	audit_cef_add_number(&line, AUDIT_COUNT, lines);
	write_line(config, &line);
}

void audit_refused(struct http_request *request)
{
	const struct config *config = request->config;
	struct strbuf line = { NULL, 0, 0 };
	const char *what, *why;
	char *event;

	if (request->route == NULL || request->route->audit == NULL ||
	    request->status < 400 || request->audited ||
	    !audit_limit_allow(config, request->source, report_left_out))
		return;
	what = request->audit != NULL ? request->audit : request->route->audit;
	why = request->why != NULL ? request->why : request->reply;
	log_info("%s from %s (%s) refused: %u %.*s", what, request->source,
		 request->identity.login != NULL ? request->identity.login :
		 "unknown", request->status, AUDIT_VALUE_MAX, why);
	if (!config->audit_cef_enabled)
		return;
	event = x_asprintf("%s-refused", what);
	audit_cef_begin(&line, config, event, "Request refused",
			AUDIT_REFUSED);
	free(event);
	add_who(&line, request);
	add_outcome(&line, false);
	audit_cef_add_number(&line, AUDIT_STATUS, request->status);
	add_targets(&line, request);
	audit_cef_add(&line, AUDIT_MESSAGE, why);
	write_line(config, &line);
}

/* the trail itself */

void audit_tick(const struct config *config)
{
	audit_limit_flush(config, false, report_left_out);
	audit_log_retry(config);
}

void audit_close(const struct config *config)
{
	audit_limit_flush(config, true, report_left_out);
	audit_log_close(config);
}

bool audit_check(struct http_request *request)
{
	if (!request->config->audit_required ||
	    audit_log_ready(request->config))
		return true;
	http_reply_later(request, 503, "The audit trail cannot be written",
			 RETRY_AFTER_AUDIT);
	return false;
}
