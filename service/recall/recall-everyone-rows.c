#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "doveadm-answer.h"
#include "journal-nodes.h"
#include "metrics.h"
#include "recall-everyone-private.h"
#include "recall-rows.h"
#include "recall-write.h"

struct index_entry {
	const char *name;
	size_t pos;
};

static int cmp_entries(const void *p1, const void *p2)
{
	const struct index_entry *e1 = p1, *e2 = p2;

	return strcmp(e1->name, e2->name);
}

void everyone_index_add(struct everyone *all, size_t pos)
{
	struct index_entry *entry = x_calloc(1, sizeof(*entry));

	entry->name = all->recall->users[pos].email;
	entry->pos = pos;
	if (tsearch(entry, &all->index, cmp_entries) == NULL)
		abort();
}

static size_t find_or_add(struct everyone *all, const char *username)
{
	struct index_entry wanted = { .name = username };
	struct index_entry **found;

	found = tfind(&wanted, &all->index, cmp_entries);
	if (found != NULL)
		return (*found)->pos;
	recall_add_user(all->recall, username);
	everyone_index_add(all, all->recall->count - 1);
	return all->recall->count - 1;
}

void everyone_save(struct everyone *all, const size_t *users, size_t count,
		   const struct recall_node *node)
{
	struct recall *recall = all->recall;
	size_t *known = NULL, i, node_count = node != NULL ? 1 : 0;

	if (recall->unsaved) {
		known = x_calloc(recall->count + 1, sizeof(*known));
		for (i = 0; i < recall->count; i++)
			known[i] = i;
		users = known;
		count = recall->count;
		node = recall->nodes;
		node_count = recall->node_count;
	}
	recall_set_unsaved(recall, !journal_save_found(recall, users, count,
						       node, node_count));
	free(known);
}

void everyone_set_state(struct everyone *all, struct recall_node *node,
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
		everyone_save(all, NULL, 0, node);
	}
	pthread_mutex_unlock(&all->mutex);
}

bool everyone_set_has(json_t *set, const char *username)
{
	return recall_row_find_name(set, username) != NULL;
}

json_t *everyone_make_asked(const json_t *users)
{
	json_t *asked = json_object();
	const json_t *user;
	size_t i;

	json_array_foreach(users, i, user)
		json_object_set_new(asked, json_string_value(user),
				    json_true());
	return asked;
}

json_t *everyone_make_stopped(const json_t *rows)
{
	json_t *stopped = json_object();
	const char *username;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		username = recall_row_column(row, RECALL_COLUMN_USERNAME);
		if (username != NULL && recall_row_is_stop(row))
			json_object_set_new(stopped, username, json_true());
	}
	return stopped;
}

/* A page that a restart has cut off is asked about again: nothing is left to be
   done then of whom it was told what was. */
static bool is_told(const struct recall_user *user, const json_t *row)
{
	const char *status = recall_row_column(row, RECALL_COLUMN_STATUS);
	int verdict = status == NULL ? -1 : recall_verdict_parse(status);

	if (user->verdict == RECALL_VERDICT_RESTORED)
		return verdict == RECALL_VERDICT_RESTORED &&
			row_number(row, RECALL_COLUMN_COPIES) == 0;
	return user->verdict == RECALL_VERDICT_EXPUNGED &&
		(verdict == RECALL_VERDICT_ALREADY_RECALLED ||
		 verdict == RECALL_VERDICT_NOT_FOUND);
}

void everyone_take_rows(struct everyone *all, json_t *asked,
			const json_t *rows)
{
	size_t *users = x_calloc(json_array_size(rows) + 1, sizeof(*users));
	struct recall_user *user;
	const char *username;
	size_t i, n = 0;
	json_t *row;

	pthread_mutex_lock(&all->mutex);
	json_array_foreach(rows, i, row) {
		username = recall_row_column(row, RECALL_COLUMN_USERNAME);
		if (username != NULL)
			username = recall_row_find_name(asked, username);
		if (username == NULL || recall_row_is_stop(row))
			continue;
		users[n] = find_or_add(all, username);
		user = &all->recall->users[users[n]];
		if (is_told(user, row))
			continue;
		recall_row_take(user, row);
		if (!all->recall->dry_run)
			metrics_verdict(user->verdict);
		n++;
	}
	if (n > 0)
		everyone_save(all, users, n, NULL);
	pthread_mutex_unlock(&all->mutex);
	free(users);
}
