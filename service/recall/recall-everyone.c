#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "journal.h"
#include "recall-everyone-private.h"
#include "recall-everyone.h"
#include "recall-write.h"

#define THREAD_STACK (512 * 1024)

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
		everyone_save(all, NULL, 0, &recall->nodes[i]);
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
		runs[i].pause_ms = EVERYONE_PAUSE_MIN_MS;
		if (*recall->nodes[i].urls == '\0' ||
		    recall->nodes[i].state == RECALL_NODE_DONE ||
		    recall->nodes[i].state == RECALL_NODE_FAILED)
			continue;
		runs[i].started =
			pthread_create(&runs[i].thread, &attr,
				       everyone_run_node, &runs[i]) == 0;
		/* then this one does it, before the others are waited for */
		if (!runs[i].started) {
			__atomic_store_n(&all->crowded, true,
					 __ATOMIC_RELAXED);
			(void)everyone_run_node(&runs[i]);
		}
	}
	pthread_attr_destroy(&attr);
	for (i = 0; i < count; i++) {
		if (runs[i].started)
			pthread_join(runs[i].thread, NULL);
	}
	free(runs);
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
		everyone_index_add(&all, i);
	set_nodes(&all);
	do {
		run_nodes(&all);
		everyone_run_retried(&all);
		everyone_run_lost(&all);
	} while (is_open(recall) && !everyone_is_held(&all));
	tdestroy(all.index, free);
	pthread_mutex_destroy(&all.mutex);
	if (is_open(recall)) {
		if (recall_interrupted())
			return RECALL_INTERRUPTED;
		return recall_is_held(recall) ? RECALL_PAUSED : RECALL_YIELDED;
	}
	recall->finished = time(NULL);
	if (recall->unsaved || !journal_save(recall, NULL, 0))
		(void)recall_write(recall);
	return RECALL_DONE;
}
