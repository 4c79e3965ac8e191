#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "recall-message-id.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "brakes.h"
#include "clock.h"
#include "doveadm-client.h"
#include "journal.h"
#include "log.h"
#include "metrics.h"
#include "recall-run.h"
#include "strlist-json.h"

static bool interrupted;

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
	unsigned int active;
	/* what the batches came to, and how many were refused */
	struct doveadm_tally tally;
	size_t refused;
	/* users who have no verdict yet */
	size_t left;
	/* some verdicts could not be journalled */
	bool unsaved;
};

static void set_error(struct recall_user *user, const char *error)
{
	user->verdict = RECALL_VERDICT_ERROR;
	recall_set_text(&user->error, error);
}

static bool is_dry(const struct recall_run *run)
{
	return run->probe || run->recall->dry_run;
}

/* What only an expunge has. */
static void add_expunge_params(json_t *params, const struct recall_run *run)
{
	const struct recall *recall = run->recall;
	char stand[32];

	if (recall->query.count > 0)
		json_object_set_new(params, RECALL_PARAM_QUERY,
				    strlist_to_json(&recall->query));
	else
		json_object_set_new(params, RECALL_PARAM_MESSAGE_ID,
				    json_string(recall->message_id));
	if (recall->verify_headers)
		json_object_set_new(params, RECALL_PARAM_VERIFY_HEADERS,
				    json_true());
	if (recall->stand > 0) {
		snprintf(stand, sizeof(stand), "%lld secs",
			 (long long)recall->stand);
		json_object_set_new(params, RECALL_PARAM_STAND,
				    json_string(stand));
	}
	json_object_set_new(params, RECALL_PARAM_FORCE,
			    json_boolean(recall->force));
	json_object_set_new(params, RECALL_PARAM_NO_NOTIFY,
			    json_boolean(!recall->notify));
	json_object_set_new(params, RECALL_PARAM_DRY_RUN,
			    json_boolean(is_dry(run)));
	if (recall->senders.count > 0)
		json_object_set_new(params, RECALL_PARAM_SENDER,
				    strlist_to_json(&recall->senders));
}

/* The command without its users. */
static json_t *make_params(const struct recall_run *run)
{
	const struct recall *recall = run->recall;
	json_t *params = json_object();

	if (recall->kind == RECALL_EXPUNGE)
		add_expunge_params(params, run);
	json_object_set_new(params, RECALL_PARAM_RECALL_ID,
			    json_string(recall->kind == RECALL_RESTORE ?
					recall->target : recall->id));
	json_object_set_new(params, RECALL_PARAM_ACTOR,
			    json_string(recall->actor.login));
	if (recall->approver != NULL)
		json_object_set_new(params, RECALL_PARAM_APPROVER,
				    json_string(recall->approver));
	if (*recall->reason != '\0')
		json_object_set_new(params, RECALL_PARAM_REASON,
				    json_string(recall->reason));
	if (recall->actor.role == ROLE_ADMIN)
		json_object_set_new(params, RECALL_PARAM_TENANT,
				    json_string(recall->actor.tenant));
	return params;
}

/* No user of a query loses more than was counted. */
static void add_expected(json_t *params, const struct batch *batch)
{
	const struct recall *recall = batch->run->recall;
	json_t *numbers;
	char number[24];
	size_t i;

	if (recall->query.count == 0 || is_dry(batch->run))
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
	batch->call.config = run->config;
	batch->call.urls = urls;
	batch->call.command = recall->kind == RECALL_RESTORE ?
		RECALL_CMD_RESTORE : RECALL_CMD_EXPUNGE;
	batch->call.params = make_params(run);
	json_object_set_new(batch->call.params, RECALL_PARAM_USERS, users);
	add_expected(batch->call.params, batch);
	batch->call.context = batch;
	return batch;
}

/* Whether the node has only not begun. */
static bool is_stop(const char *error)
{
	return strncmp(error, RECALL_ERROR_STOPPED,
		       strlen(RECALL_ERROR_STOPPED)) == 0;
}

static void read_row(struct recall_user *user, const json_t *row)
{
	const char *status = row_text(row, RECALL_COLUMN_STATUS);
	const char *copies = row_text(row, RECALL_COLUMN_COPIES);
	const char *present = row_text(row, RECALL_COLUMN_PRESENT);
	const char *kept = row_text(row, RECALL_COLUMN_KEPT_UNTIL);
	int verdict = recall_verdict_parse(status);

	if (verdict < 0) {
		set_error(user, "doveadm's answer has an unknown status");
		return;
	}
	if (verdict == RECALL_VERDICT_ERROR &&
	    is_stop(row_text(row, RECALL_COLUMN_ERROR)))
		return;
	user->verdict = verdict;
	user->copies = strtoll(copies, NULL, 10);
	user->present = strtoll(present, NULL, 10);
	user->kept_until = parse_utc(kept);
	recall_set_text(&user->notice, row_text(row, RECALL_COLUMN_NOTICE));
	recall_set_text(&user->mailboxes,
			row_text(row, RECALL_COLUMN_MAILBOXES));
	recall_set_text(&user->mailbox_user,
			row_text(row, RECALL_COLUMN_MAILBOX_USER));
	recall_set_text(&user->searched, row_text(row, RECALL_COLUMN_SEARCHED));
	recall_set_text(&user->error, row_text(row, RECALL_COLUMN_ERROR));
}

static int cmp_rows(const void *p1, const void *p2)
{
	const json_t *const *row1 = p1, *const *row2 = p2;

	return strcasecmp(row_text(*row1, RECALL_COLUMN_USERNAME),
			  row_text(*row2, RECALL_COLUMN_USERNAME));
}

static int cmp_key_row(const void *key, const void *p)
{
	const json_t *const *row = p;

	return strcasecmp(key, row_text(*row, RECALL_COLUMN_USERNAME));
}

/* Rows come in any order, and some may be missing. */
static void read_rows(struct batch *batch)
{
	struct recall_user *users = batch->run->recall->users;
	const json_t **rows, **found, *row;
	size_t i, n = 0;

	rows = x_calloc(json_array_size(batch->call.answer), sizeof(*rows));
	json_array_foreach(batch->call.answer, i, row) {
		if (*row_text(row, RECALL_COLUMN_USERNAME) != '\0')
			rows[n++] = row;
	}
	qsort(rows, n, sizeof(*rows), cmp_rows);
	for (i = 0; i < batch->count; i++) {
		struct recall_user *user = &users[batch->users[i]];

		found = bsearch(user->key, rows, n, sizeof(*rows), cmp_key_row);
		if (found != NULL)
			read_row(user, *found);
		else
			set_error(user, "doveadm's answer has no row for the "
				  "user");
	}
	free(rows);
}

/* Verdicts that could not be written are written with the next ones: a recall
   must not have finished in the journal without them. */
static bool save_batch(struct recall_run *run, const struct batch *batch)
{
	const struct recall *recall = run->recall;
	size_t *known, n = 0, i;

	if (!run->unsaved) {
		run->unsaved = !journal_save(recall, batch->users,
					     batch->count);
		return !run->unsaved;
	}
	known = x_calloc(recall->count, sizeof(*known));
	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict >= 0)
			known[n++] = i;
	}
	run->unsaved = !journal_save(recall, known, n);
	free(known);
	return !run->unsaved;
}

/* Counts and journals them. */
static void take_verdicts(struct recall_run *run, const struct batch *batch,
			  bool last)
{
	struct recall *recall = run->recall;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		if (recall->users[batch->users[i]].verdict >= 0)
			metrics_verdict(recall->users[batch->users[i]].verdict);
	}
	if (last)
		recall->finished = time(NULL);
	if (!save_batch(run, batch))
		log_error("recall %s: the journal could not be written, a "
			  "restart would ask again", recall->id);
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
			set_error(user, batch->call.error);
	}
	run->left -= count_verdicts(batch);
	if (!run->probe)
		take_verdicts(run, batch, run->left == 0);
	json_decref(batch->call.answer);
	free(batch->call.error);
	free(batch->users);
	free(batch);
}

/* What deletes nothing goes on, and so does what puts messages back. */
static bool is_stopped(const struct recall_run *run)
{
	return run->recall->kind == RECALL_EXPUNGE && !run->recall->dry_run &&
	       !run->probe && brakes_stopped();
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
		       !recall_interrupted() && !is_stopped(run) &&
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
	enum recall_outcome outcome = run_batches(&run);

	/* all verdicts were known before */
	if (outcome == RECALL_DONE && recall->finished == 0) {
		recall->finished = time(NULL);
		if (!journal_save(recall, NULL, 0))
			log_error("recall %s: the journal could not be written",
				  recall->id);
	}
	return outcome;
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

bool recall_interrupted(void)
{
	return __atomic_load_n(&interrupted, __ATOMIC_RELAXED);
}

void recall_interrupt_all(void)
{
	__atomic_store_n(&interrupted, true, __ATOMIC_RELAXED);
}
