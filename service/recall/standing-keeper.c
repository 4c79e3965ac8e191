#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "brakes-doubts.h"
#include "brakes.h"
#include "clock.h"
#include "doveadm-nodes.h"
#include "journal-late.h"
#include "journal-standing.h"
#include "journal.h"
#include "log.h"
#include "recall-audit.h"
#include "recall-outcome.h"
#include "recall-run.h"
#include "standing-hand.h"
#include "standing-keeper.h"
#include "standing-late.h"

#define POLL_MS 1000
/* A node that is down is looked for more often than mailboxes that fail. */
#define LOOK_PAUSE_MAX_SECS 600
#define UNREAD_PAUSE_SECS 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t hander, looker;
static bool hander_runs, looker_runs, stopping, collect_now;

/* What nodes have to be told */

static void forget(const struct journal_standing *row)
{
	log_warning("recall %s: its order is of no recall", row->recall);
	journal_standing_forget(row->recall);
}

/* Returns false if it can't be made now. */
static bool make_call(struct doveadm_call *call, struct config *config,
		      const struct journal_standing *row)
{
	struct recall *recall = NULL;
	enum journal_result found;

	if (row->state == STANDING_MISSING) {
		found = journal_load(row->recall, &recall);
		if (found == JOURNAL_ABSENT)
			forget(row);
		/* what is damaged is not to hold up others of the node */
		if (found == JOURNAL_FAILED)
			(void)journal_standing_failed(row, UNREAD_PAUSE_SECS,
				false, "The recall can't be read");
		if (found != JOURNAL_FOUND)
			return false;
	}
	standing_hand_make_call(call, config, row, recall);
	recall_free(recall);
	return true;
}

/* One order of each node. Returns whether there may be more. */
static bool hand_due(struct config *config)
{
	struct journal_standing *rows;
	struct doveadm_call *calls;
	size_t i, count, n = 0;
	bool more = false;

	if (!journal_standing_due(time(NULL), &rows, &count))
		count = 0;
	calls = x_calloc(count + 1, sizeof(*calls));
	for (i = 0; i < count; i++) {
		if (make_call(&calls[n], config, &rows[i]))
			calls[n++].context = &rows[i];
	}
	doveadm_nodes_run(calls, n);
	for (i = 0; i < n; i++) {
		more = standing_hand_take(&calls[i], calls[i].context, true) ||
			more;
		json_decref(calls[i].answer);
		free(calls[i].error);
	}
	free(calls);
	journal_standing_free(rows, count);
	return more;
}

/* Nodes come and go with the settings. */
static void set_nodes(struct config *config)
{
	static struct config *known;
	struct strlist urls = { NULL, 0, 0 };

	if (config == known)
		return;
	doveadm_nodes_urls(config, &urls);
	if (journal_standing_set_nodes(&urls, time(NULL)) &&
	    journal_late_set_nodes(&urls)) {
		config_unref(known);
		known = config_ref(config);
	}
	strlist_free(&urls);
}

static bool is_stopping(void)
{
	return __atomic_load_n(&stopping, __ATOMIC_RELAXED);
}

/* Returns whether it is time to collect. */
static bool wait_for_more(const struct config *config, int64_t collected)
{
	bool now;

	pthread_mutex_lock(&lock);
	if (!stopping && !collect_now)
		cond_wait_ms(&cond, &lock, POLL_MS);
	now = collect_now;
	collect_now = false;
	pthread_mutex_unlock(&lock);
	return now || now_ms() - collected >=
		config->recall_late_interval * 1000;
}

static void *run_hander(void *context)
{
	int64_t collected = now_ms();
	struct config *config;
	bool due = true;

	(void)context;
	while (!is_stopping()) {
		config = config_current();
		set_nodes(config);
		journal_standing_expire(time(NULL));
		while (!is_stopping() && hand_due(config)) ;
		if (!is_stopping())
			brakes_settle_doubts(config);
		if (due && !is_stopping()) {
			standing_late_collect(config);
			collected = now_ms();
		}
		due = wait_for_more(config, collected);
		config_unref(config);
	}
	return NULL;
}

/* What has come meanwhile */

static bool look_at_node(struct config *config,
			 const struct journal_standing *row, char **error_r)
{
	struct doveadm_call call = {
		.config = config,
		.urls = row->url,
		.command = RECALL_CMD_STANDING_RUN,
		.params = json_pack("{s:s}", RECALL_PARAM_RECALL_ID,
				    row->recall),
	};

	doveadm_call_run(&call);
	json_decref(call.answer);
	*error_r = call.error;
	return call.result == DOVEADM_OK;
}

/* Users who could not be asked about. */
static bool look_at_users(struct config *config,
			  const struct journal_standing *row, char **error_r)
{
	struct recall *recall;
	size_t before, after = 1, aliases;

	*error_r = NULL;
	if (journal_load(row->recall, &recall) != JOURNAL_FOUND)
		return false;
	/* otherwise somebody is at it */
	if (recall->finished != 0) {
		before = recall_count(recall, RECALL_VERDICT_ERROR);
		aliases = standing_hand_count_aliases(recall);
		recall->stand_until = row->until;
		after = recall_run_again(recall, config);
		if (after < before)
			recall_audit(config, recall);
		if (standing_hand_count_aliases(recall) > aliases)
			standing_hand_aliases(recall, config);
	}
	recall_free(recall);
	return after == 0;
}

/* Returns whether that is written: otherwise it would be looked at again at
   once. */
static bool look(struct config *config, const struct journal_standing *row)
{
	bool users = strcmp(row->url, STANDING_USERS) == 0, ok, written = false;
	char *error;

	ok = users ? look_at_users(config, row, &error) :
		look_at_node(config, row, &error);
	if (ok && users)
		written = journal_standing_remove_users(row->recall);
	else if (ok)
		written = journal_standing_settle(row, STANDING_STANDS) !=
			JOURNAL_FAILED;
	else if (!recall_interrupted())
		written = journal_standing_failed(row, LOOK_PAUSE_MAX_SECS,
						  false, error);
	if (error != NULL)
		log_warning("recall %s: %s: %s", row->recall, row->url, error);
	free(error);
	return written;
}

/* By the settings as they are now: many that fail take longer than somebody
   needs to mend them. */
static bool look_next(void)
{
	struct config *config = config_current();
	struct journal_standing *rows;
	size_t count;
	bool more;

	if (!journal_standing_due_look(time(NULL), &rows, &count))
		count = 0;
	more = count > 0 && look(config, rows);
	journal_standing_free(rows, count);
	config_unref(config);
	return more;
}

static void *run_looker(void *context)
{
	(void)context;
	journal_standing_find_users();
	while (!is_stopping()) {
		while (!is_stopping() && !brakes_stopped() && look_next()) ;
		pthread_mutex_lock(&lock);
		if (!stopping)
			cond_wait_ms(&cond, &lock, POLL_MS);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* Both */

bool standing_keeper_start(void)
{
	hander_runs = pthread_create(&hander, NULL, run_hander, NULL) == 0;
	looker_runs = pthread_create(&looker, NULL, run_looker, NULL) == 0;
	return hander_runs && looker_runs;
}

void standing_keeper_stop(void)
{
	pthread_mutex_lock(&lock);
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
	if (hander_runs)
		pthread_join(hander, NULL);
	if (looker_runs)
		pthread_join(looker, NULL);
}

void standing_keeper_collect(void)
{
	pthread_mutex_lock(&lock);
	collect_now = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
}
