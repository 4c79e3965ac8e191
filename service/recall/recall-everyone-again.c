#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "doveadm-client.h"
#include "recall-everyone-private.h"
#include "recall-params-json.h"
#include "recall-rows.h"

/* The node that the error is of, or NULL; the caller frees it. */
static char *lost_node(const struct recall_user *user)
{
	static const char prefix[] = RECALL_ERROR_NODE;
	static const char *const reasons[] = {
		RECALL_ERROR_NODE_UNREACHABLE, RECALL_ERROR_NODE_LOST,
		RECALL_ERROR_NODE_LEFT,
	};
	const char *name, *end;
	size_t i;

	if (user->verdict != RECALL_VERDICT_ERROR || user->error == NULL ||
	    strncmp(user->error, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	name = user->error + sizeof(prefix) - 1;
	end = strchr(name, ' ');
	for (i = 0; end != NULL && i < sizeof(reasons) / sizeof(*reasons);
	     i++) {
		if (strncmp(end + 1, reasons[i], strlen(reasons[i])) == 0)
			return x_strndup(name, end - name);
	}
	return NULL;
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
		everyone_set_state(all, node, RECALL_NODE_DOWN,
				   node->state == RECALL_NODE_DOWN ? NULL :
				   recall->users[i].error);
		free(name);
	}
	for (i = 0; i < recall->node_count; i++) {
		node = &recall->nodes[i];
		if (*node->urls == '\0' && !down[i])
			everyone_set_state(all, node, RECALL_NODE_DONE, NULL);
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

	while (first < count && !everyone_is_held(all)) {
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
		asked = everyone_make_asked(names);
		call.params = everyone_make_params(all, names);
		doveadm_call_run(&call);
		if (call.result == DOVEADM_OK)
			everyone_take_rows(all, asked, call.answer);
		stopped = everyone_make_stopped(call.answer);
		some_stopped = some_stopped || json_object_size(stopped) > 0;
		json_decref(stopped);
		json_decref(asked);
		json_decref(call.answer);
		free(call.error);
	}
	return some_stopped;
}

/* A dry run does not wait for nodes that are down. */
static void give_up_lost(struct everyone *all)
{
	struct recall_node *node;
	char *error;
	size_t i;

	for (i = 0; i < all->recall->node_count; i++) {
		node = &all->recall->nodes[i];
		if (*node->urls != '\0' || node->state != RECALL_NODE_DOWN)
			continue;
		error = x_strdup(node->error == NULL ? "" : node->error);
		everyone_set_state(all, node, RECALL_NODE_FAILED, error);
		free(error);
	}
}

void everyone_run_lost(struct everyone *all)
{
	int64_t pause_ms = EVERYONE_PAUSE_MIN_MS;
	size_t *users, count;
	unsigned int tries = 0;

	while (!everyone_is_held(all)) {
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
		if (all->recall->dry_run && ++tries >= EVERYONE_FAILURES_MAX) {
			give_up_lost(all);
			break;
		}
		everyone_pause_longer(all, &pause_ms);
	}
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

void everyone_run_retried(struct everyone *all)
{
	const struct recall *recall = all->recall;
	size_t *users = x_calloc(recall->count + 1, sizeof(*users));
	size_t i, n = find_retried(recall, users);
	int64_t pause_ms = EVERYONE_PAUSE_MIN_MS;

	while (ask_lost(all, users, n) && !everyone_is_held(all)) {
		everyone_pause_longer(all, &pause_ms);
		n = find_retried(recall, users);
	}
	for (i = 0; i < n && !everyone_is_held(all); i++) {
		if (recall->users[users[i]].verdict < 0)
			recall_row_set_error(&recall->users[users[i]],
					     "doveadm did not answer");
	}
	if (n > 0 && !everyone_is_held(all))
		everyone_save(all, users, n, NULL);
	free(users);
}
