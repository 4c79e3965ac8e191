#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-client.h"
#include "log.h"
#include "recall-everyone-private.h"
#include "recall-params-json.h"
#include "recall-rows.h"
#include "standing-hand.h"

/* Commands' users that a node lists at a time: as far as this it is asked again
   after a crash. */
#define PAGE_BATCHES 10

struct batch {
	struct node_run *node;
	struct doveadm_call call;
	/* first and count of the page's names */
	size_t pos, count;
	/* who is asked about */
	json_t *asked;
};

static struct recall_node *node_of(const struct node_run *run)
{
	return &run->all->recall->nodes[run->pos];
}

/* Whether to ask no more. Somebody waits for what a dry run counts, and nothing
   is left undone by it. */
static bool is_given_up(struct node_run *run, const struct doveadm_call *call)
{
	if (call->result == DOVEADM_FAILED && call->exit_code == EX_USAGE)
		return true;
	return (call->result == DOVEADM_FAILED || run->all->recall->dry_run) &&
	       ++node_of(run)->failures >= EVERYONE_FAILURES_MAX;
}

/* What became of a call. Returns false if the node is to be given up, or to be
   asked again later. */
static bool node_failed(struct node_run *run, const struct doveadm_call *call)
{
	struct recall_node *node = node_of(run);

	if (is_given_up(run, call)) {
		log_error("recall %s: node %s is given up: %s",
			  run->all->recall->id, node->name, call->error);
		everyone_set_state(run->all, node, RECALL_NODE_FAILED,
				   call->error);
		return false;
	}
	if (node->state != RECALL_NODE_DOWN)
		log_warning("recall %s: node %s: %s", run->all->recall->id,
			    node->name, call->error);
	everyone_set_state(run->all, node, RECALL_NODE_DOWN, call->error);
	everyone_pause_longer(run->all, &run->pause_ms);
	return !__atomic_load_n(&run->all->crowded, __ATOMIC_RELAXED);
}

static void node_answered(struct node_run *run)
{
	struct recall_node *node = node_of(run);

	run->pause_ms = EVERYONE_PAUSE_MIN_MS;
	node->failures = 0;
	if (node->state == RECALL_NODE_DOWN)
		log_info("recall %s: node %s is back", run->all->recall->id,
			 node->name);
	everyone_set_state(run->all, node, RECALL_NODE_RUNNING, NULL);
}

static const char *name_at(const json_t *names, size_t pos)
{
	return recall_row_column(json_array_get(names, pos),
				 RECALL_COLUMN_USERNAME);
}

/* What can't be a list of users is a failure, and not to be asked for again. */
static void check_page(struct node_run *run, size_t limit,
		       struct doveadm_call *call)
{
	char *error;

	if (call->result != DOVEADM_OK)
		return;
	error = doveadm_users_check(call->answer, node_of(run)->cursor, limit,
				    &run->listed,
				    run->all->config->doveadm_max_users);
	if (error == NULL)
		return;
	call->error = error;
	call->result = DOVEADM_FAILED;
	call->exit_code = EX_USAGE;
}

/* Lists users after those who have been asked about. Returns false if there are
   none, or no more. */
static bool get_page(struct node_run *run)
{
	const struct recall_node *node = node_of(run);
	size_t max = run->all->config->doveadm_batch * PAGE_BATCHES;
	bool more = true;
	char limit[24];

	snprintf(limit, sizeof(limit), "%zu", max);
	while (more && !everyone_is_held(run->all)) {
		struct doveadm_call call = {
			.config = run->all->config,
			.urls = node->urls,
			.command = RECALL_CMD_USERS,
			.params = json_object(),
		};

		json_object_set_new(call.params, RECALL_PARAM_LIMIT,
				    json_string(limit));
		if (node->cursor != NULL)
			json_object_set_new(call.params, RECALL_PARAM_AFTER,
					    json_string(node->cursor));
		doveadm_call_run(&call);
		check_page(run, max, &call);
		if (call.result == DOVEADM_OK) {
			run->names = call.answer;
			free(call.error);
			node_answered(run);
			return json_array_size(run->names) > 0;
		}
		more = node_failed(run, &call);
		json_decref(call.answer);
		free(call.error);
	}
	return false;
}

/* Not faster than the settings allow. */
static void keep_pace(struct node_run *run, size_t users)
{
	int64_t rate = run->all->config->doveadm_max_rate, now = now_ms();

	if (rate == 0)
		return;
	if (run->next_ms > now)
		everyone_nap(run->all, run->next_ms - now);
	else
		run->next_ms = now;
	run->next_ms += users * 1000 / rate;
}

static size_t batch_max(const struct node_run *run)
{
	int64_t rate = run->all->config->doveadm_max_rate;
	size_t max = run->batch_max;

	return rate > 0 && (size_t)rate < max ? (size_t)rate : max;
}

json_t *everyone_make_params(struct everyone *all, json_t *users)
{
	struct recall *recall = all->recall;
	json_t *params;

	pthread_mutex_lock(&all->mutex);
	standing_hand_check(recall);
	params = recall_make_params(recall, recall->dry_run);
	pthread_mutex_unlock(&all->mutex);

	json_object_set_new(params, RECALL_PARAM_USERS, users);
	json_object_set_new(params, RECALL_PARAM_PRIORITY,
			    json_string(RECALL_PRIORITY_LOW));
	return params;
}

/* A command for users of the page from there on who are this node's: where
   nodes share a userdb, each lists them all. NULL if there are none. */
static struct batch *
next_batch(struct node_run *run, const bool *done, size_t *pos)
{
	const struct config *config = run->all->config;
	const char *urls = node_of(run)->urls, *name;
	size_t count = json_array_size(run->names);
	struct batch *batch;
	json_t *users = json_array();

	batch = x_calloc(1, sizeof(*batch));
	batch->node = run;
	for (; *pos < count && json_array_size(users) < batch_max(run);
	     (*pos)++) {
		name = name_at(run->names, *pos);
		if (done[*pos] && json_array_size(users) > 0)
			break;
		if (done[*pos] || name == NULL ||
		    strcmp(config_node_urls(config, name), urls) != 0)
			continue;
		if (json_array_size(users) == 0)
			batch->pos = *pos;
		json_array_append_new(users, json_string(name));
	}
	batch->count = *pos - batch->pos;
	if (json_array_size(users) == 0) {
		json_decref(users);
		free(batch);
		return NULL;
	}
	keep_pace(run, json_array_size(users));
	batch->asked = everyone_make_asked(users);
	batch->call.config = run->all->config;
	batch->call.urls = urls;
	batch->call.command = recall_command(run->all->recall);
	batch->call.params = everyone_make_params(run->all, users);
	json_object_set_new(batch->call.params, RECALL_PARAM_HITS,
			    json_true());
	batch->call.context = batch;
	return batch;
}

/* A node on which recalls are stopped is as good as one that is down: whom it
   has not looked at is left to be done. */
static void end_batch(struct batch *batch, bool *done)
{
	json_t *stopped = everyone_make_stopped(batch->call.answer);
	const char *name;
	size_t i;

	everyone_take_rows(batch->node->all, batch->asked, batch->call.answer);
	for (i = batch->pos; i < batch->pos + batch->count; i++) {
		name = name_at(batch->node->names, i);
		done[i] = name == NULL || !everyone_set_has(stopped, name);
	}
	if (json_object_size(stopped) > 0) {
		batch->call.result = DOVEADM_UNREACHABLE;
		free(batch->call.error);
		batch->call.error = x_strdup(RECALL_ERROR_STOPPED);
	}
	json_decref(stopped);
}

/* Asks about the users of the page who are not done. Returns the call that
   failed, of those that did the last one. */
static struct batch *run_batches(struct node_run *run, bool *done)
{
	int64_t max = run->all->config->doveadm_connections_per_recall;
	struct doveadm_calls *calls = doveadm_calls_begin();
	struct batch *batch, *failed = NULL;
	size_t pos = 0, active = 0;

	for (;;) {
		while (active < (size_t)max && failed == NULL &&
		       !everyone_is_held(run->all) &&
		       (batch = next_batch(run, done, &pos)) != NULL) {
			active++;
			doveadm_calls_add(calls, &batch->call);
		}
		if (active == 0)
			break;
		batch = doveadm_calls_wait(calls)->context;
		active--;
		if (batch->call.result == DOVEADM_OK)
			end_batch(batch, done);
		json_decref(batch->asked);
		json_decref(batch->call.answer);
		batch->call.answer = NULL;
		if (batch->call.result != DOVEADM_OK) {
			/* as many may be too many for it */
			if (batch->call.result == DOVEADM_TIMEOUT &&
			    run->batch_max > 1)
				run->batch_max /= 2;
			if (failed != NULL) {
				free(failed->call.error);
				free(failed);
			}
			failed = batch;
		} else {
			free(batch->call.error);
			free(batch);
		}
	}
	doveadm_calls_end(calls);
	return failed;
}

/* Returns false if that was not to be done. */
static bool run_page(struct node_run *run)
{
	size_t count = json_array_size(run->names);
	bool *done = x_calloc(count, sizeof(*done)), more = true;
	struct batch *failed;

	while (more && !everyone_is_held(run->all)) {
		failed = run_batches(run, done);
		if (failed == NULL)
			break;
		more = node_failed(run, &failed->call);
		free(failed->call.error);
		free(failed);
	}
	free(done);
	return more && !everyone_is_held(run->all);
}

static void end_page(struct node_run *run)
{
	struct everyone *all = run->all;
	struct recall_node *node = node_of(run);
	size_t i, count = json_array_size(run->names);
	const char *name;

	node_answered(run);
	pthread_mutex_lock(&all->mutex);
	for (i = 0; i < count; i++) {
		name = name_at(run->names, i);
		if (name != NULL && strcmp(config_node_urls(all->config, name),
					   node->urls) == 0)
			node->users_done++;
	}
	recall_set_text(&node->cursor, name_at(run->names, count - 1));
	everyone_save(all, NULL, 0, node);
	pthread_mutex_unlock(&all->mutex);
}

void *everyone_run_node(void *context)
{
	struct node_run *run = context;
	bool more = true;

	while (more && get_page(run)) {
		more = run_page(run);
		if (more)
			end_page(run);
		json_decref(run->names);
		run->names = NULL;
	}
	json_decref(run->names);
	if (more && !everyone_is_held(run->all) &&
	    node_of(run)->state == RECALL_NODE_RUNNING)
		everyone_set_state(run->all, node_of(run), RECALL_NODE_DONE,
				   NULL);
	return NULL;
}
