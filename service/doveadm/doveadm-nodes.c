#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "doveadm-nodes.h"

static bool has(const struct strlist *list, const char *text)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

void doveadm_nodes_urls(const struct config *config, struct strlist *urls)
{
	struct strlist all = { NULL, 0, 0 };
	size_t i;

	strlist_split(&all, config->doveadm_url);
	for (i = 0; i < config->nodes.count; i += 2)
		strlist_split(&all, config->nodes.items[i + 1]);
	strlist_split(&all, config->doveadm_behind);
	for (i = 0; i < all.count; i++) {
		if (!has(urls, all.items[i]))
			strlist_add(urls, all.items[i]);
	}
	strlist_free(&all);
}

struct doveadm_call *doveadm_nodes_calls(struct config *config,
					 const char *command, size_t *count_r)
{
	struct strlist urls = { NULL, 0, 0 };
	struct doveadm_call *calls;
	size_t i;

	doveadm_nodes_urls(config, &urls);
	calls = x_calloc(urls.count, sizeof(*calls));
	for (i = 0; i < urls.count; i++) {
		calls[i].config = config;
		calls[i].urls = x_strdup(urls.items[i]);
		calls[i].command = command;
		calls[i].timeout = config->doveadm_connect_timeout;
	}
	*count_r = urls.count;
	strlist_free(&urls);
	return calls;
}

void doveadm_nodes_run(struct doveadm_call *calls, size_t count)
{
	struct doveadm_calls *running = doveadm_calls_begin();
	size_t i;

	for (i = 0; i < count; i++)
		doveadm_calls_add(running, &calls[i]);
	for (i = 0; i < count; i++)
		(void)doveadm_calls_wait(running);
	doveadm_calls_end(running);
}

void doveadm_nodes_free(struct doveadm_call *calls, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		json_decref(calls[i].answer);
		free(calls[i].error);
		free((char *)calls[i].urls);
	}
	free(calls);
}
