#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-client.h"
#include "journal-nodes.h"
#include "journal.h"
#include "log.h"
#include "metrics.h"
#include "recall-everyone.h"
#include "recall-params-json.h"
#include "recall-rows.h"
#include "standing-hand.h"
#include "text.h"

/* Commands' users that a node lists at a time: as far as this it is asked again
   after a crash. */
#define PAGE_BATCHES 10
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
/* How soon a stop is seen. */
#define NAP_MS 100
/* Times that a node may fail the command before it is given up: a userdb that
   lists nobody will not do so later on. */
#define FAILURES_MAX 5
#define THREAD_STACK (512 * 1024)

struct everyone {
	struct recall *recall;
	struct config *config;
	/* of all below, and of the recall */
	pthread_mutex_t mutex;
	/* recall->users by key, see search.h */
	void *index;
	/* some verdicts could not be journalled */
	bool unsaved;
};

struct index_entry {
	const char *key;
	size_t pos;
};

struct node_run {
	struct everyone *all;
	size_t pos;
	pthread_t thread;
	bool started;

	/* the page under way */
	json_t *names;
	/* users of a command; fewer once one has taken too long */
	size_t batch_max;
	int64_t pause_ms, next_ms;
	unsigned int failures;
};

struct batch {
	struct node_run *node;
	struct doveadm_call call;
	/* first and count of the page's names */
	size_t pos, count;
	/* who is asked about */
	json_t *asked;
};

/* Users by name */

static int cmp_entries(const void *p1, const void *p2)
{
	const struct index_entry *e1 = p1, *e2 = p2;

	return strcmp(e1->key, e2->key);
}

static void index_add(struct everyone *all, size_t pos)
{
	struct index_entry *entry = x_calloc(1, sizeof(*entry));

	entry->key = all->recall->users[pos].key;
	entry->pos = pos;
	if (tsearch(entry, &all->index, cmp_entries) == NULL)
		abort();
}

static size_t find_or_add(struct everyone *all, const char *username)
{
	char *key = x_strdup(username);
	struct index_entry wanted = { .key = key };
	struct index_entry **found;

	ascii_lower(key);
	found = tfind(&wanted, &all->index, cmp_entries);
	free(key);
	if (found != NULL)
		return (*found)->pos;
	recall_add_user(all->recall, username);
	index_add(all, all->recall->count - 1);
	return all->recall->count - 1;
}

/* Journal */

/* Verdicts that could not be written are written with the next ones: a node
   must not be further in the journal than they are. */
static void save(struct everyone *all, const size_t *users, size_t count,
		 const struct recall_node *node)
{
	const struct recall *recall = all->recall;
	size_t *known = NULL, i;

	if (all->unsaved) {
		known = x_calloc(recall->count + 1, sizeof(*known));
		for (i = 0; i < recall->count; i++)
			known[i] = i;
		users = known;
		count = recall->count;
	}
	all->unsaved = !journal_save_found(recall, users, count, node);
	if (all->unsaved)
		log_error("recall %s: the journal could not be written, a "
			  "restart would ask again", recall->id);
	free(known);
}

/* Sets of users' names */

static void set_add(json_t *set, const char *username)
{
	char *key = x_strdup(username);

	ascii_lower(key);
	json_object_set_new(set, key, json_true());
	free(key);
}

static bool set_has(const json_t *set, const char *username)
{
	char *key = x_strdup(username);
	bool ret;

	ascii_lower(key);
	ret = json_object_get(set, key) != NULL;
	free(key);
	return ret;
}

static json_t *make_asked(const json_t *users)
{
	json_t *asked = json_object();
	const json_t *user;
	size_t i;

	json_array_foreach(users, i, user)
		set_add(asked, json_string_value(user));
	return asked;
}

/* Whom the node has not looked at, since recalls are stopped there. */
static json_t *make_stopped(const json_t *rows)
{
	json_t *stopped = json_object();
	const char *username;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		username = recall_row_column(row, RECALL_COLUMN_USERNAME);
		if (username != NULL && recall_row_is_stop(row))
			set_add(stopped, username);
	}
	return stopped;
}

/* What a node says of users whom it was not asked about is not believed. */
static void take_rows(struct everyone *all, const json_t *asked,
		      const json_t *rows)
{
	size_t *users = x_calloc(json_array_size(rows) + 1, sizeof(*users));
	const char *username;
	size_t i, n = 0;
	json_t *row;

	pthread_mutex_lock(&all->mutex);
	json_array_foreach(rows, i, row) {
		username = recall_row_column(row, RECALL_COLUMN_USERNAME);
		if (username == NULL || !set_has(asked, username) ||
		    recall_row_is_stop(row))
			continue;
		users[n] = find_or_add(all, username);
		recall_row_take(&all->recall->users[users[n]], row);
		metrics_verdict(all->recall->users[users[n]].verdict);
		n++;
	}
	if (n > 0)
		save(all, users, n, NULL);
	pthread_mutex_unlock(&all->mutex);
	free(users);
}

static void node_set_state(struct everyone *all, struct recall_node *node,
			   enum recall_node_state state, const char *error)
{
	pthread_mutex_lock(&all->mutex);
	if (state != node->state || error != NULL) {
		if (state != RECALL_NODE_DOWN)
			node->down_since = 0;
		else if (node->down_since == 0)
			node->down_since = time(NULL);
		node->state = state;
		recall_set_text(&node->error, error);
		save(all, NULL, 0, node);
	}
	pthread_mutex_unlock(&all->mutex);
}

static struct recall_node *node_of(const struct node_run *run)
{
	return &run->all->recall->nodes[run->pos];
}

/* Waiting */

static bool is_held(const struct everyone *all)
{
	return recall_is_held(all->recall) ||
	       __atomic_load_n(&all->recall->makes_room, __ATOMIC_RELAXED);
}

/* Nodes that are down must not keep others from being asked about what comes
   after. */
static void check_place(struct everyone *all)
{
	struct recall *recall = all->recall;

	if (recall->make_room == NULL)
		return;
	pthread_mutex_lock(&all->mutex);
	if (!recall->makes_room &&
	    recall_count_nodes(recall, RECALL_NODE_RUNNING) == 0 &&
	    recall->make_room())
		__atomic_store_n(&recall->makes_room, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&all->mutex);
}

static void nap(struct everyone *all, int64_t ms)
{
	int64_t end = now_ms() + ms, left;

	while (!is_held(all) && (left = end - now_ms()) > 0) {
		check_place(all);
		if (left > NAP_MS)
			left = NAP_MS;
		nanosleep(&(struct timespec){
			.tv_nsec = left * 1000000 }, NULL);
	}
}

static void pause_longer(struct everyone *all, int64_t *pause_ms)
{
	nap(all, *pause_ms);
	*pause_ms *= 2;
	if (*pause_ms > PAUSE_MAX_MS)
		*pause_ms = PAUSE_MAX_MS;
}

/* What became of a call. Returns false if the node is to be given up. */
static bool node_failed(struct node_run *run, const struct doveadm_call *call)
{
	struct recall_node *node = node_of(run);

	if (call->result == DOVEADM_FAILED &&
	    (call->exit_code == EX_USAGE ||
	     ++run->failures >= FAILURES_MAX)) {
		log_error("recall %s: node %s is given up: %s",
			  run->all->recall->id, node->name, call->error);
		node_set_state(run->all, node, RECALL_NODE_FAILED,
			       call->error);
		return false;
	}
	if (node->state != RECALL_NODE_DOWN)
		log_warning("recall %s: node %s: %s", run->all->recall->id,
			    node->name, call->error);
	node_set_state(run->all, node, RECALL_NODE_DOWN, call->error);
	pause_longer(run->all, &run->pause_ms);
	return true;
}

static void node_answered(struct node_run *run)
{
	struct recall_node *node = node_of(run);

	run->pause_ms = PAUSE_MIN_MS;
	run->failures = 0;
	if (node->state == RECALL_NODE_DOWN)
		log_info("recall %s: node %s is back", run->all->recall->id,
			 node->name);
	node_set_state(run->all, node, RECALL_NODE_RUNNING, NULL);
}

/* A node's users */

static const char *name_at(const json_t *names, size_t pos)
{
	return recall_row_column(json_array_get(names, pos),
				 RECALL_COLUMN_USERNAME);
}

/* Lists users after those who have been asked about. Returns false if there are
   none, or no more. */
static bool get_page(struct node_run *run)
{
	const struct recall_node *node = node_of(run);
	bool more = true;
	char limit[24];

	snprintf(limit, sizeof(limit), "%lld", (long long)
		 run->all->config->doveadm_batch * PAGE_BATCHES);
	while (more && !is_held(run->all)) {
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
		nap(run->all, run->next_ms - now);
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

static json_t *make_params(struct everyone *all, json_t *users)
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
	batch->asked = make_asked(users);
	batch->call.config = run->all->config;
	batch->call.urls = urls;
	batch->call.command = recall_command(run->all->recall);
	batch->call.params = make_params(run->all, users);
	json_object_set_new(batch->call.params, RECALL_PARAM_HITS,
			    json_true());
	batch->call.context = batch;
	return batch;
}

/* A node on which recalls are stopped is as good as one that is down: whom it
   has not looked at is left to be done. */
static void end_batch(struct batch *batch, bool *done)
{
	json_t *stopped = make_stopped(batch->call.answer);
	const char *name;
	size_t i;

	take_rows(batch->node->all, batch->asked, batch->call.answer);
	for (i = batch->pos; i < batch->pos + batch->count; i++) {
		name = name_at(batch->node->names, i);
		done[i] = name == NULL || !set_has(stopped, name);
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
		       !is_held(run->all) &&
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

	while (more && !is_held(run->all)) {
		failed = run_batches(run, done);
		if (failed == NULL)
			break;
		more = node_failed(run, &failed->call);
		free(failed->call.error);
		free(failed);
	}
	free(done);
	return more && !is_held(run->all);
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
	save(all, NULL, 0, node);
	pthread_mutex_unlock(&all->mutex);
}

static void *run_node(void *context)
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
	if (more && !is_held(run->all) &&
	    node_of(run)->state == RECALL_NODE_RUNNING)
		node_set_state(run->all, node_of(run), RECALL_NODE_DONE, NULL);
	return NULL;
}

/* Those whom one node was asked about, and could not ask another */

/* The node that the error is of, or NULL; the caller frees it. */
static char *lost_node(const struct recall_user *user)
{
	static const char prefix[] = RECALL_ERROR_NODE;
	const char *name, *end;

	if (user->verdict != RECALL_VERDICT_ERROR || user->error == NULL ||
	    strncmp(user->error, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	name = user->error + sizeof(prefix) - 1;
	end = strchr(name, ' ');
	if (end == NULL ||
	    (strncmp(end + 1, RECALL_ERROR_NODE_UNREACHABLE,
		     strlen(RECALL_ERROR_NODE_UNREACHABLE)) != 0 &&
	     strncmp(end + 1, RECALL_ERROR_NODE_LOST,
		     strlen(RECALL_ERROR_NODE_LOST)) != 0))
		return NULL;
	return x_strndup(name, end - name);
}

static struct recall_node *
find_hidden_node(struct recall *recall, const char *name)
{
	struct recall_node *node;
	size_t i;

	for (i = 0; i < recall->node_count; i++) {
		if (*recall->nodes[i].urls == '\0' &&
		    strcmp(recall->nodes[i].name, name) == 0)
			return &recall->nodes[i];
	}
	node = recall_add_node(recall, name, "");
	node->state = RECALL_NODE_RUNNING;
	return node;
}

/* Finds out which of these nodes are down. Returns the users that they have, or
   none if all are up. */
static size_t find_lost(struct everyone *all, size_t *users)
{
	struct recall *recall = all->recall;
	bool *down = x_calloc(recall->count + recall->node_count + 1,
			      sizeof(*down));
	struct recall_node *node;
	size_t i, n = 0;
	char *name;

	for (i = 0; i < recall->count; i++) {
		name = lost_node(&recall->users[i]);
		if (name == NULL)
			continue;
		users[n++] = i;
		node = find_hidden_node(recall, name);
		down[node - recall->nodes] = true;
		node_set_state(all, node, RECALL_NODE_DOWN,
			       node->state == RECALL_NODE_DOWN ? NULL :
			       recall->users[i].error);
		free(name);
	}
	for (i = 0; i < recall->node_count; i++) {
		node = &recall->nodes[i];
		if (*node->urls == '\0' && !down[i])
			node_set_state(all, node, RECALL_NODE_DONE, NULL);
	}
	free(down);
	return n;
}

/* Asks once more about these users. Returns whether recalls are stopped where
   some of them are. */
static bool ask_lost(struct everyone *all, const size_t *users, size_t count)
{
	const struct recall *recall = all->recall;
	json_t *names, *asked, *stopped;
	bool some_stopped = false;
	size_t i, first = 0;
	const char *urls;

	while (first < count && !is_held(all)) {
		struct doveadm_call call = {
			.config = all->config,
			.urls = config_node_urls(all->config,
				recall->users[users[first]].email),
			.command = recall_command(recall),
		};

		names = json_array();
		for (i = first; i < count &&
		     json_array_size(names) <
		     (size_t)all->config->doveadm_batch; i++) {
			urls = config_node_urls(all->config,
				recall->users[users[i]].email);
			if (strcmp(urls, call.urls) != 0)
				break;
			json_array_append_new(names, json_string(
				recall->users[users[i]].email));
		}
		first = i;
		asked = make_asked(names);
		call.params = make_params(all, names);
		doveadm_call_run(&call);
		if (call.result == DOVEADM_OK)
			take_rows(all, asked, call.answer);
		stopped = make_stopped(call.answer);
		some_stopped = some_stopped || json_object_size(stopped) > 0;
		json_decref(stopped);
		json_decref(asked);
		json_decref(call.answer);
		free(call.error);
	}
	return some_stopped;
}

static void run_lost(struct everyone *all)
{
	int64_t pause_ms = PAUSE_MIN_MS;
	size_t *users, count;

	while (!is_held(all)) {
		users = x_calloc(all->recall->count + 1, sizeof(*users));
		count = find_lost(all, users);
		if (count > 0) {
			/* first of all: who waits may have to make room */
			(void)ask_lost(all, users, count);
			count = find_lost(all, users);
		}
		free(users);
		if (count == 0)
			break;
		pause_longer(all, &pause_ms);
	}
}

/* All of it */

/* The nodes are those of the settings as they are now. What is known of them
   stands: one that was given up is asked again, as this is a retry. */
static void set_nodes(struct everyone *all)
{
	struct recall *recall = all->recall;
	struct strlist urls = { NULL, 0, 0 };
	struct recall_node *node;
	size_t i, n;

	config_node_groups(all->config, &urls);
	for (i = 0; i < recall->node_count; i++) {
		node = &recall->nodes[i];
		for (n = 0; n < urls.count; n++) {
			if (strcmp(urls.items[n], node->urls) == 0)
				break;
		}
		if (*node->urls != '\0' && n == urls.count)
			node->state = RECALL_NODE_DONE;
		else if (node->state == RECALL_NODE_FAILED)
			node->state = RECALL_NODE_RUNNING;
	}
	for (n = 0; n < urls.count; n++) {
		for (i = 0; i < recall->node_count; i++) {
			if (strcmp(urls.items[n], recall->nodes[i].urls) == 0)
				break;
		}
		if (i == recall->node_count)
			recall_add_node(recall, NULL, urls.items[n]);
	}
	strlist_free(&urls);
	/* who looks does not take the first ones that answer for all */
	for (i = 0; i < recall->node_count; i++)
		save(all, NULL, 0, &recall->nodes[i]);
}

static void run_nodes(struct everyone *all)
{
	struct recall *recall = all->recall;
	/* those that find_lost() adds have no thread */
	size_t i, count = recall->node_count;
	struct node_run *runs = x_calloc(count, sizeof(*runs));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (i = 0; i < count; i++) {
		runs[i].all = all;
		runs[i].pos = i;
		runs[i].batch_max = all->config->doveadm_batch;
		runs[i].pause_ms = PAUSE_MIN_MS;
		if (*recall->nodes[i].urls == '\0' ||
		    recall->nodes[i].state == RECALL_NODE_DONE)
			continue;
		runs[i].started = pthread_create(&runs[i].thread, &attr,
						 run_node, &runs[i]) == 0;
		/* then this one does it, before the others are waited for */
		if (!runs[i].started)
			(void)run_node(&runs[i]);
	}
	pthread_attr_destroy(&attr);
	for (i = 0; i < count; i++) {
		if (runs[i].started)
			pthread_join(runs[i].thread, NULL);
	}
	free(runs);
}

static size_t find_retried(const struct recall *recall, size_t *users)
{
	size_t i, n = 0;

	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict < 0)
			users[n++] = i;
	}
	return n;
}

/* Users whose errors are to be tried once more: see journal_reopen(). */
static void run_retried(struct everyone *all)
{
	const struct recall *recall = all->recall;
	size_t *users = x_calloc(recall->count + 1, sizeof(*users));
	size_t i, n = find_retried(recall, users);
	int64_t pause_ms = PAUSE_MIN_MS;

	while (ask_lost(all, users, n) && !is_held(all)) {
		pause_longer(all, &pause_ms);
		n = find_retried(recall, users);
	}
	for (i = 0; i < n && !is_held(all); i++) {
		if (recall->users[users[i]].verdict < 0)
			recall_row_set_error(&recall->users[users[i]],
					     "doveadm did not answer");
	}
	if (n > 0 && !is_held(all))
		save(all, users, n, NULL);
	free(users);
}

static bool is_open(const struct recall *recall)
{
	return recall_count_nodes(recall, RECALL_NODE_RUNNING) > 0 ||
	       recall_count_nodes(recall, RECALL_NODE_DOWN) > 0 ||
	       recall_count(recall, -1) > 0;
}

enum recall_outcome
recall_everyone_run(struct recall *recall, struct config *config)
{
	struct everyone all = { .recall = recall, .config = config };
	size_t i;

	pthread_mutex_init(&all.mutex, NULL);
	for (i = 0; i < recall->count; i++)
		index_add(&all, i);
	do {
		set_nodes(&all);
		run_nodes(&all);
		run_retried(&all);
		run_lost(&all);
	} while (is_open(recall) && !is_held(&all));
	tdestroy(all.index, free);
	pthread_mutex_destroy(&all.mutex);
	if (is_open(recall)) {
		if (recall_interrupted())
			return RECALL_INTERRUPTED;
		return recall_is_held(recall) ? RECALL_PAUSED : RECALL_YIELDED;
	}
	recall->finished = time(NULL);
	if (all.unsaved || !journal_save(recall, NULL, 0))
		log_error("recall %s: the journal could not be written",
			  recall->id);
	return RECALL_DONE;
}
