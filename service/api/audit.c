#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "audit-limit.h"
#include "audit-log.h"
#include "audit.h"
#include "http-reply.h"
#include "log.h"
#include "metrics.h"
#include "params.h"
#include "recall-audit.h"
#include "strbuf.h"
#include "strlist-json.h"

#define RETRY_AFTER_AUDIT 30

void audit_recalled(struct http_request *request, const struct recall *recall)
{
	request->audited = true;
	recall_audit(request->config, recall);
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
	audit_cef_add_outcome(&line, success);
	for (; fields != NULL && fields->key != AUDIT_END; fields++)
		audit_cef_add(&line, fields->key, fields->value);
	(void)audit_log_write(request->config, line.data);
}

/* refusals */

/* Parameters, and parts of paths, that say what a request is about. */
static const struct {
	const char *name;
	enum audit_key key;
} targets[] = {
	{ "messageid", AUDIT_MESSAGE_ID },
	{ "emails", AUDIT_USERS },
	{ "owner", AUDIT_USERS },
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

static void add_values(struct strbuf *line, const struct strlist *values,
		       enum audit_key key)
{
	bool flag;
	char *text;

	/* a number's key has nothing else */
	if (key == AUDIT_FORCE || key == AUDIT_NOTIFY || key == AUDIT_DRY_RUN) {
		if (values->count == 1 &&
		    param_parse_flag(values->items[0], &flag))
			audit_cef_add_number(line, key, flag);
	} else if (values->count == 1) {
		audit_cef_add(line, key, values->items[0]);
	} else if (values->count > 1) {
		text = audit_list(values);
		audit_cef_add(line, key, text);
		free(text);
	}
}

/* The values of a parameter, or the part of the path that has its name. */
static void get_values(const struct http_request *request, const char *name,
		       struct strlist *values)
{
	const char *braces = strchr(request->route->path, '{');
	size_t len = strlen(name);
	char *part;

	param_values(request, name, values);
	if (braces == NULL || strncmp(braces + 1, name, len) != 0 ||
	    braces[1 + len] != '}')
		return;
	part = http_request_path_part(request);
	strlist_add(values, part);
	free(part);
}

static void add_targets(struct strbuf *line,
			const struct http_request *request)
{
	struct strlist values = { NULL, 0, 0 };
	enum audit_key last = AUDIT_END;
	size_t i, before;
	char *text;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		before = line->len;
		if (targets[i].key != last) {
			get_values(request, targets[i].name, &values);
			add_values(line, &values, targets[i].key);
			strlist_free(&values);
		}
		if (line->len > before)
			last = targets[i].key;
	}
	param_values(request, "query", &values);
	if (values.count > 0) {
		text = strlist_to_json_text(&values);
		audit_cef_add(line, AUDIT_QUERY, text);
		free(text);
	}
	strlist_free(&values);
	audit_cef_add(line, AUDIT_IDEMPOTENCY_KEY, request->idempotency_key);
}

static void report_left_out(const struct config *config, const char *address,
			    uint64_t lines)
{
	struct strbuf line = { NULL, 0, 0 };

	log_warning("%llu more requests from %s refused",
		    (unsigned long long)lines, address);
	metrics_add(METRIC_AUDIT_LEFT_OUT, lines);
	if (!config->audit_cef_enabled)
		return;
	audit_cef_begin(&line, config, "left-out", "Requests refused, lines "
			"left out", AUDIT_REFUSED);
	audit_cef_add(&line, AUDIT_SOURCE, address);
	audit_cef_add_outcome(&line, false);
	audit_cef_add_number(&line, AUDIT_COUNT, lines);
	(void)audit_log_write(config, line.data);
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
	audit_cef_add_outcome(&line, false);
	audit_cef_add_number(&line, AUDIT_STATUS, request->status);
	add_targets(&line, request);
	audit_cef_add(&line, AUDIT_MESSAGE, why);
	(void)audit_log_write(config, line.data);
}

/* the trail itself */

void audit_tick(const struct config *config)
{
	audit_limit_flush(config, false, report_left_out);
	recall_audit_tick(config);
}

void audit_close(const struct config *config)
{
	audit_limit_flush(config, true, report_left_out);
	recall_audit_tick(config);
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
