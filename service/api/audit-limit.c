#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "audit-limit.h"
#include "clock.h"
#include "network.h"

/* Addresses remembered at a time; who has more of them is not stopped by
   counting addresses. */
#define BUCKETS 256
#define WAYS 8

struct entry {
	char network[INET6_ADDRSTRLEN];
	int64_t second;
	int64_t lines;
	uint64_t left_out;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry table[BUCKETS][WAYS];
/* how many lines of the whole table wait to be reported */
static uint64_t left_out;

/* Ends the entry's second. Returns what it counted. */
static struct entry entry_end(struct entry *e)
{
	struct entry ended = *e;

	left_out -= e->left_out;
	e->left_out = 0;
	e->lines = 0;
	return ended;
}

/* The network's entry, or the one that was used longest ago. */
static struct entry *find(const char *network)
{
	struct entry *way, *oldest;
	uint32_t hash = 2166136261U;
	const char *p;
	int i;

	for (p = network; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	way = oldest = table[hash % BUCKETS];
	for (i = 0; i < WAYS; i++, way++) {
		if (strcmp(way->network, network) == 0)
			return way;
		if (way->second < oldest->second)
			oldest = way;
	}
	return oldest;
}

bool audit_limit_allow(const struct config *config, const char *address,
		       audit_limit_report_t *report)
{
	char network[INET6_ADDRSTRLEN];
	int64_t second = now_ms() / 1000;
	struct entry ended = { .left_out = 0 }, *e;
	bool ret;

	if (config->audit_refused_per_second == 0)
		return true;
	network_print(address, network);
	pthread_mutex_lock(&lock);
	e = find(network);
	if (e->second != second || strcmp(e->network, network) != 0) {
		ended = entry_end(e);
		snprintf(e->network, sizeof(e->network), "%s", network);
		e->second = second;
	}
	ret = e->lines < config->audit_refused_per_second;
	if (ret) {
		e->lines++;
	} else {
		e->left_out++;
		left_out++;
	}
	pthread_mutex_unlock(&lock);
	if (ended.left_out > 0)
		report(config, ended.network, ended.left_out);
	return ret;
}

void audit_limit_flush(const struct config *config, bool end,
		       audit_limit_report_t *report)
{
	int64_t second = now_ms() / 1000;
	struct entry ended, *e = table[0];
	size_t i;

	for (i = 0; i < BUCKETS * WAYS; i++, e++) {
		ended.left_out = 0;
		pthread_mutex_lock(&lock);
		if (left_out == 0)
			i = BUCKETS * WAYS;
		else if (e->left_out > 0 && (end || e->second != second))
			ended = entry_end(e);
		pthread_mutex_unlock(&lock);
		if (ended.left_out > 0)
			report(config, ended.network, ended.left_out);
	}
}
