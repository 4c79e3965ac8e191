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
/* how many lines of the whole table wait to be told of */
static uint64_t left_out;

/* Returns what the entry has to tell, as of before. */
static struct entry settle(struct entry *e)
{
	struct entry told = *e;

	left_out -= e->left_out;
	e->left_out = 0;
	e->lines = 0;
	return told;
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
	struct entry told = { .left_out = 0 }, *e;
	bool ret;

	if (config->audit_refused_per_second == 0)
		return true;
	network_print(address, network);
	pthread_mutex_lock(&lock);
	e = find(network);
	if (e->second != second || strcmp(e->network, network) != 0) {
		told = settle(e);
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
	if (told.left_out > 0)
		report(config, told.network, told.left_out);
	return ret;
}

void audit_limit_flush(const struct config *config, bool end,
		       audit_limit_report_t *report)
{
	int64_t second = now_ms() / 1000;
	struct entry told, *e = table[0];
	size_t i;

	for (i = 0; i < BUCKETS * WAYS; i++, e++) {
		told.left_out = 0;
		pthread_mutex_lock(&lock);
		if (left_out == 0)
			i = BUCKETS * WAYS;
		else if (e->left_out > 0 && (end || e->second != second))
			told = settle(e);
		pthread_mutex_unlock(&lock);
		if (told.left_out > 0)
			report(config, told.network, told.left_out);
	}
}
