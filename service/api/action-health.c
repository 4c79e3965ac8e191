#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "actions.h"
#include "alloc.h"
#include "audit-log.h"
#include "clock.h"
#include "doveadm-client.h"
#include "http-reply.h"
#include "http-server.h"
#include "jobs.h"
#include "journal-db.h"
#include "journal.h"
#include "metrics.h"

/* Probes do not ask doveadm more often than this, nor write to the journal:
   nobody has to have a token to come here. */
#define CACHE_MS 2000

/* What is found out for probes. */
struct probe {
	bool (*ask)(struct config *config);
	int64_t asked;
	bool answer, asking;
};

static const char openapi[] = {
#include "openapi-json.inc"
};

void action_openapi(struct http_request *request)
{
	http_reply_text(request, "application/json", x_strdup(openapi));
}

void action_metrics(struct http_request *request)
{
	struct metrics_gauges gauges = { .jobs = jobs_busy() };

	http_server_gauges(&gauges);
	http_reply_text(request, "text/plain; version=0.0.4; charset=utf-8",
			metrics_print(&gauges));
}

void action_live(struct http_request *request)
{
	http_reply_json(request, 200, json_pack("{s:b}", "live", 1));
}

static bool has_command(const json_t *list, const char *name)
{
	char *camel = doveadm_camel_case(name);
	const char *command;
	const json_t *item;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, item) {
		command = json_string_value(json_object_get(item, "command"));
		if (command != NULL && strcmp(command, camel) == 0)
			found = true;
	}
	free(camel);
	return found;
}

/* Whether doveadm answers and has what recalls need. One that takes its time
   is as good as none: a recall's would be long. */
static bool ask_doveadm(struct config *config)
{
	struct doveadm_call call = {
		.config = config,
		.urls = config->doveadm_url,
		.timeout = config->doveadm_connect_timeout,
		.probe = true,
	};
	bool ret;

	doveadm_call_run(&call);
	ret = call.result == DOVEADM_OK &&
	      has_command(call.answer, RECALL_CMD_EXPUNGE);
	json_decref(call.answer);
	free(call.error);
	return ret;
}

static bool ask_journal(struct config *config)
{
	(void)config;
	return journal_ready();
}

static bool is_ready(struct probe *probe, struct config *config)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool ret;

	pthread_mutex_lock(&lock);
	if (!probe->asking &&
	    (probe->asked == 0 || now_ms() - probe->asked > CACHE_MS)) {
		/* others are told the last answer meanwhile: all workers might
		   wait */
		probe->asking = true;
		pthread_mutex_unlock(&lock);
		ret = probe->ask(config);
		pthread_mutex_lock(&lock);
		probe->answer = ret;
		probe->asked = now_ms();
		probe->asking = false;
	}
	ret = probe->answer;
	pthread_mutex_unlock(&lock);
	return ret;
}

void action_ready(struct http_request *request)
{
	static struct probe of_journal = { .ask = ask_journal };
	static struct probe of_doveadm = { .ask = ask_doveadm };
	bool journal = is_ready(&of_journal, request->config);
	bool doveadm = is_ready(&of_doveadm, request->config);
	bool audit = audit_log_ready(request->config);
	bool ready = journal && doveadm && audit;

	http_reply_json(request, ready ? 200 : 503, json_pack(
		"{s:b, s:b, s:b, s:b, s:b}", "live", 1, "ready", ready,
		"journal", journal, "doveadm", doveadm, "audit", audit));
}
