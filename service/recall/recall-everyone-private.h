#ifndef RECALL_EVERYONE_PRIVATE_H
#define RECALL_EVERYONE_PRIVATE_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "recall.h"

/* What the parts of a recall from everyone have in common. */

#define EVERYONE_PAUSE_MIN_MS 1000
/* Times that a node may fail the command before it is given up: a userdb that
   lists nobody will not do so later on. Of a dry run, also times that it need
   not answer. */
#define EVERYONE_FAILURES_MAX 5

struct everyone {
	struct recall *recall;
	struct config *config;
	/* of all below, and of the recall */
	pthread_mutex_t mutex;
	/* recall->users by name, see search.h */
	void *index;
	/* not every node has a thread: one that is down has to give its up */
	bool crowded;
};

/* One node, asked about its own users. */
struct node_run {
	struct everyone *all;
	size_t pos;
	pthread_t thread;
	bool started;

	/* how many users it has listed */
	uint64_t listed;
	/* the page under way */
	json_t *names;
	/* users of a command; fewer once one has taken too long */
	size_t batch_max;
	int64_t pause_ms, next_ms;
};

/* recall-everyone-rows.c: what nodes say of users, and the journal */

/* To be called for each user that the recall has already. */
void everyone_index_add(struct everyone *all, size_t pos);
/* What could not be written is written with the next: a node must not be
   further in the journal than its users' verdicts. */
void everyone_save(struct everyone *all, const size_t *users, size_t count,
		   const struct recall_node *node);
/* Journals a state that is another one, with its error or NULL, and an error
   of the same state. */
void everyone_set_state(struct everyone *all, struct recall_node *node,
			enum recall_node_state state, const char *error);
/* Sets of users by name: objects that the caller frees. */
json_t *everyone_make_asked(const json_t *users);
/* Whom the node has not looked at, since recalls are stopped there. */
json_t *everyone_make_stopped(const json_t *rows);
bool everyone_set_has(json_t *set, const char *username);
/* What a node says of users whom it was not asked about is not believed. */
void everyone_take_rows(struct everyone *all, json_t *asked,
			const json_t *rows);

/* recall-everyone-wait.c */

/* Whether it is to go on later: recalls are stopped, the process is about to
   stop, or it makes room for another one. */
bool everyone_is_held(const struct everyone *all);
void everyone_nap(struct everyone *all, int64_t ms);
/* Each time twice as long, up to a minute. */
void everyone_pause_longer(struct everyone *all, int64_t *pause_ms);

/* recall-everyone-node.c */

/* The parameters of a command for these users, whom they take over. */
json_t *everyone_make_params(struct everyone *all, json_t *users);
/* A thread's function: context is a struct node_run. */
void *everyone_run_node(void *context);

/* recall-everyone-again.c: who has to be asked about once more */

/* Users whose errors are to be tried once more: see journal_reopen(). */
void everyone_run_retried(struct everyone *all);
/* Users whom one node was asked about, and could not ask another. Returns when
   none is left. */
void everyone_run_lost(struct everyone *all);

#endif
