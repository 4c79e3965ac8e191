#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "recall-params.h"
#include "alloc.h"
#include "brakes-doubts.h"
#include "brakes-nodes.h"
#include "brakes.h"
#include "doveadm-nodes.h"
#include "journal-doubts.h"
#include "log.h"

/* What was sent before may be done later: it is told once more after that
   time. */
#define AGAIN_SECS 60

/* What a node has to be told about one stop: that there is one, whoever has
   pulled it, or that the one of the doubt has ended. */
static json_t *make_params(const struct journal_doubt *doubt,
			   const struct journal_stop *stop)
{
	bool release = stop->actor == NULL;
	json_t *params;

	params = brakes_params(release,
			       release ? doubt->actor : stop->actor,
			       release ? doubt->reason : stop->reason);
	if (release)
		json_object_set_new(params, RECALL_PARAM_STOPPED_BY,
				    json_string(doubt->actor));
	return params;
}

static void answered(struct journal_doubt *doubt, bool release, bool changed)
{
	if (!doubt->answered)
		log_info("%s: told that recalls are %s", doubt->url,
			 release ? "released" : "stopped");
	if (release && doubt->answered && !changed) {
		journal_doubt_remove(doubt);
		return;
	}
	/* who tells the opposite at the same time may be the last one */
	doubt->answered = !changed;
	doubt->tries = 0;
	doubt->next += changed ? 0 : AGAIN_SECS;
	journal_doubt_keep(doubt);
}

static void failed(struct journal_doubt *doubt, const struct doveadm_call *call,
		   bool release)
{
	/* an older one does not know how to release that stop alone */
	if (release && call->result == DOVEADM_FAILED &&
	    call->exit_code != EX_TEMPFAIL) {
		log_error("%s: whether recalls are stopped there by %s is not "
			  "known: see doveadm recall stop --release",
			  doubt->url, doubt->actor);
		journal_doubt_remove(doubt);
		return;
	}
	doubt->answered = false;
	doubt->next += doubt->tries < 6 ? (int64_t)1 << doubt->tries :
		AGAIN_SECS;
	doubt->tries++;
	journal_doubt_keep(doubt);
}

static void settle(struct config *config, struct journal_doubt *doubts,
		   size_t count)
{
	struct doveadm_call *calls = x_calloc(count, sizeof(*calls));
	struct journal_stop stop;
	bool release, changed;
	size_t i;

	brakes_get(&stop);
	release = stop.actor == NULL;
	for (i = 0; i < count; i++) {
		/* that one may be left there, too */
		if (!release && (strcmp(doubts[i].actor, stop.actor) != 0 ||
				 strcmp(doubts[i].reason, stop.reason) != 0))
			(void)journal_doubt_add(doubts[i].url, &stop, false);
		calls[i].config = config;
		calls[i].urls = doubts[i].url;
		calls[i].command = RECALL_CMD_STOP;
		calls[i].timeout = config->doveadm_connect_timeout;
		calls[i].once = true;
		calls[i].params = make_params(&doubts[i], &stop);
	}
	doveadm_nodes_run(calls, count);
	changed = brakes_stopped() == release;
	for (i = 0; i < count; i++) {
		if (calls[i].result == DOVEADM_OK)
			answered(&doubts[i], release, changed);
		else
			failed(&doubts[i], &calls[i], release);
		json_decref(calls[i].answer);
		free(calls[i].error);
	}
	free(calls);
	journal_stop_free(&stop);
}

void brakes_settle_doubts(struct config *config)
{
	struct strlist urls = { NULL, 0, 0 };
	struct journal_doubt *doubts;
	size_t count;

	doveadm_nodes_urls(config, &urls);
	if (journal_doubts_due(time(NULL), &urls, &doubts, &count) &&
	    count > 0)
		settle(config, doubts, count);
	strlist_free(&urls);
	journal_doubts_free(doubts, count);
}
