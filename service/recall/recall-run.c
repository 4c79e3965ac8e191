#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "recall-message-id.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "doveadm-client.h"
#include "journal.h"
#include "metrics.h"
#include "recall-everyone.h"
#include "recall-params-json.h"
#include "recall-rows.h"
#include "recall-run.h"
#include "recall-write.h"
#include "standing-hand.h"
#include "strlist-json.h"

/* Users who are asked about with one command. */
struct batch {
	struct recall_run *run;
	struct doveadm_call call;
	/* indexes into recall->users */
	size_t *users;
	size_t count;
};

struct recall_run {
	struct recall *recall;
	struct config *config;
	/* only looks */
	bool probe;
	/* the recall has finished, and these users were in error */
	bool again;
	unsigned int active;
	/* what the batches came to, and how many were refused */
	struct doveadm_tally tally;
	size_t refused;
	/* users who have no verdict yet */
	size_t left;
};

static bool is_dry(const struct recall_run *run)
{
	return run->probe || run->recall->dry_run;
}

/* No user of a query loses more than was counted. */
static void add_expected(json_t *params, const struct batch *batch)
{
	const struct recall *recall = batch->run->recall;
	json_t *numbers;
	char number[24];
	size_t i;

	if (recall->kind == RECALL_RESTORE || recall->query.count == 0 ||
	    is_dry(batch->run))
		return;
	numbers = json_array();
	for (i = 0; i < batch->count; i++) {
		snprintf(number, sizeof(number), "%lld", (long long)
			 recall->users[batch->users[i]].expected);
		json_array_append_new(numbers, json_string(number));
	}
	json_object_set_new(params, RECALL_PARAM_EXPECTED, numbers);
}

/* Makes a batch of users of the same node, beginning with the first one
   without a verdict at or after *pos. */
static struct batch *next_batch(struct recall_run *run, bool *taken,
				size_t *pos)
{
	struct recall *recall = run->recall;
	const char *urls = NULL, *user_urls;
	struct batch *batch;
	json_t *users;
	size_t i, max = run->config->doveadm_batch;

	while (*pos < recall->count && taken[*pos])
		(*pos)++;
	if (*pos == recall->count)
		return NULL;
	batch = x_calloc(1, sizeof(*batch));
	batch->run = run;
	batch->users = x_calloc(max, sizeof(size_t));
	users = json_array();
	for (i = *pos; i < recall->count; i++) {
		if (batch->count == max)
			break;
		if (taken[i])
			continue;
		user_urls = config_node_urls(run->config,
					     recall->users[i].email);
		if (urls == NULL)
			urls = user_urls;
		else if (strcmp(urls, user_urls) != 0)
			continue;
		taken[i] = true;
		batch->users[batch->count++] = i;
		json_array_append_new(users,
				      json_string(recall->users[i].email));
	}
	if (!run->probe)
		standing_hand_check(recall);
	batch->call.config = run->config;
	batch->call.urls = urls;
	batch->call.command = recall_command(recall);
	batch->call.params = recall_make_params(recall, is_dry(run));
	json_object_set_new(batch->call.params, RECALL_PARAM_USERS, users);
	add_expected(batch->call.params, batch);
	batch->call.context = batch;
	return batch;
}

/* Rows come in any order, and some may be missing. */
static void read_rows(struct batch *batch)
{
	struct recall_user *users = batch->run->recall->users;
	/* name => row, null as long as there is none */
	json_t *rows = json_object(), *row;
	const char *name;
	size_t i;

	for (i = 0; i < batch->count; i++)
		json_object_set_new(rows, users[batch->users[i]].email,
				    json_null());
	json_array_foreach(batch->call.answer, i, row) {
		name = recall_row_find_name(rows, row_text(row,
						RECALL_COLUMN_USERNAME));
		if (name != NULL && json_is_null(json_object_get(rows, name)))
			json_object_set(rows, name, row);
	}
	for (i = 0; i < batch->count; i++) {
		struct recall_user *user = &users[batch->users[i]];

		row = json_object_get(rows, user->email);
		if (!json_is_null(row))
			recall_row_take(user, row);
		else
			recall_row_set_error(user, "doveadm's answer has no "
					     "row for the user");
	}
	json_decref(rows);
}

/* Verdicts that could not be written are written with the next ones: a recall
   must not have finished in the journal without them. Who has none, since
   recalls are stopped, keeps the one that the journal has. */
static bool save_batch(struct recall_run *run, const struct batch *batch)
{
	struct recall *recall = run->recall;
	size_t count = recall->unsaved ? recall->count : batch->count;
	size_t *known = x_calloc(count + 1, sizeof(*known)), n = 0, i, pos;
	bool ok;

	for (i = 0; i < count; i++) {
		pos = recall->unsaved ? i : batch->users[i];
		if (recall->users[pos].verdict >= 0)
			known[n++] = pos;
	}
	ok = run->again ? journal_save_again(recall, known, n) :
		journal_save(recall, known, n);
	free(known);
	recall_set_unsaved(recall, !ok);
	return ok;
}

/* Counts and journals them. */
static void take_verdicts(struct recall_run *run, const struct batch *batch,
			  bool last)
{
	struct recall *recall = run->recall;
	int verdict;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		verdict = recall->users[batch->users[i]].verdict;
		if (verdict >= 0 && !recall->dry_run &&
		    (!run->again || verdict != RECALL_VERDICT_ERROR))
			metrics_verdict(verdict);
	}
	if (last && !run->again)
		recall->finished = time(NULL);
	/* once more, for the error of a moment */
	if (!save_batch(run, batch))
		(void)save_batch(run, batch);
}

/* Returns how many users have got a verdict: all, unless recalls are stopped on
   the node. */
static size_t count_verdicts(const struct batch *batch)
{
	const struct recall_user *users = batch->run->recall->users;
	size_t i, n = 0;

	for (i = 0; i < batch->count; i++) {
		if (users[batch->users[i]].verdict >= 0)
			n++;
	}
	return n;
}

static void batch_end(struct batch *batch)
{
	struct recall_run *run = batch->run;
	size_t i;

	doveadm_tally_add(&run->tally, batch->call.result);
	if (batch->call.result == DOVEADM_OK)
		read_rows(batch);
	else if (batch->call.result == DOVEADM_FAILED &&
		 batch->call.exit_code == EX_USAGE)
		run->refused++;
	else if (batch->call.result == DOVEADM_FAILED &&
		 batch->call.exit_code == EX_CANTCREAT) {
		free(batch->call.error);
		batch->call.error = x_strdup("The recall can't stand there, so "
			"nothing was done: the mail system's log says why");
	}
	for (i = 0; i < batch->count; i++) {
		struct recall_user *user =
			&run->recall->users[batch->users[i]];

		if (batch->call.result != DOVEADM_OK)
			recall_row_set_error(user, batch->call.error);
	}
	run->left -= count_verdicts(batch);
	if (!run->probe)
		take_verdicts(run, batch, run->left == 0);
	json_decref(batch->call.answer);
	free(batch->call.error);
	free(batch->users);
	free(batch);
}

static bool is_held(const struct recall_run *run)
{
	if (run->probe)
		return recall_interrupted();
	/* whoever is left is asked about once more for the order's sake */
	return recall_is_held(run->recall) ||
		(run->again && standing_hand_has_ended(run->recall));
}

static enum recall_outcome run_batches(struct recall_run *run)
{
	const struct config *config = run->config;
	struct recall *recall = run->recall;
	struct doveadm_calls *calls = doveadm_calls_begin();
	bool *taken = x_calloc(recall->count, sizeof(*taken));
	struct batch *batch;
	size_t i, pos = 0;

	run->left = recall_count(recall, -1);
	for (i = 0; i < recall->count; i++)
		taken[i] = recall->users[i].verdict >= 0;
	for (;;) {
		while (run->active < config->doveadm_connections_per_recall &&
		       !is_held(run) &&
		       (batch = next_batch(run, taken, &pos)) != NULL) {
			run->active++;
			doveadm_calls_add(calls, &batch->call);
		}
		if (run->active == 0)
			break;
		batch = doveadm_calls_wait(calls)->context;
		batch_end(batch);
		run->active--;
	}
	doveadm_calls_end(calls);
	free(taken);
	/* if a node does not take what others do, that is its users' error */
	recall->refused = run->refused > 0 &&
		run->refused == run->tally.answered;
	if (run->left > 0)
		return recall_interrupted() ? RECALL_INTERRUPTED :
			RECALL_PAUSED;
	switch (doveadm_tally_result(&run->tally)) {
	case DOVEADM_UNREACHABLE:
		return RECALL_UNREACHABLE;
	case DOVEADM_TIMEOUT:
		return RECALL_TIMEOUT;
	default:
		return RECALL_DONE;
	}
}

enum recall_outcome recall_run(struct recall *recall, struct config *config)
{
	struct recall_run run = { .recall = recall, .config = config };
	enum recall_outcome outcome;

	standing_hand_begin(recall, config);
	outcome = recall->everyone ? recall_everyone_run(recall, config) :
		run_batches(&run);
	/* all verdicts were known before */
	if (outcome == RECALL_DONE && recall->finished == 0) {
		recall->finished = time(NULL);
		(void)recall_write(recall);
	}
	if (outcome != RECALL_INTERRUPTED && outcome != RECALL_PAUSED &&
	    outcome != RECALL_YIELDED)
		standing_hand_finish(recall, config);
	return outcome;
}

/* Who would be asked about again would have nothing left. */
static void save_again(struct recall_run *run)
{
	const struct batch none = { .run = run };

	(void)save_batch(run, &none);
}

size_t recall_run_again(struct recall *recall, struct config *config)
{
	struct recall_run run = {
		.recall = recall,
		.config = config,
		.again = true,
	};
	size_t i;

	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict == RECALL_VERDICT_ERROR)
			recall_row_retry(&recall->users[i]);
	}
	(void)run_batches(&run);
	while (recall->unsaved && !recall_interrupted()) {
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		save_again(&run);
	}
	standing_hand_end_again(recall);
	/* the journal has the others as they were */
	return recall_count(recall, RECALL_VERDICT_ERROR) +
		recall_count(recall, -1);
}

enum recall_outcome recall_probe(struct recall *recall, struct config *config)
{
	struct recall_run run = {
		.recall = recall,
		.config = config,
		.probe = true,
	};

	return run_batches(&run);
}
