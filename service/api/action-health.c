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

/* A probe does not ask doveadm more often than this. */
#define CACHE_MS 2000

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

static bool doveadm_ready(struct config *config)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int64_t asked;
	static bool answer, asking;
	bool ret;

	pthread_mutex_lock(&lock);
	if (!asking && (asked == 0 || now_ms() - asked > CACHE_MS)) {
		/* others are told the last answer meanwhile: nobody has to have
		   a token to come here, and all workers might wait */
		asking = true;
		pthread_mutex_unlock(&lock);
		ret = ask_doveadm(config);
		pthread_mutex_lock(&lock);
		answer = ret;
		asked = now_ms();
		asking = false;
	}
	ret = answer;
	pthread_mutex_unlock(&lock);
	return ret;
}

void action_ready(struct http_request *request)
{
	bool journal = journal_ready();
	bool doveadm = doveadm_ready(request->config);
	bool audit = audit_log_ready(request->config);
	bool ready = journal && doveadm && audit;

	http_reply_json(request, ready ? 200 : 503, json_pack(
		"{s:b, s:b, s:b, s:b, s:b}", "live", 1, "ready", ready,
		"journal", journal, "doveadm", doveadm, "audit", audit));
}
