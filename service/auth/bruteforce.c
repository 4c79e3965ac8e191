#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bruteforce.h"

/* Addresses remembered at a time. An attacker who has more of them is not
   stopped by counting addresses anyway. */
#define BUCKETS 4096
#define WAYS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry {
	char address[INET6_ADDRSTRLEN];
	int64_t attempts;
	/* of the first and the last attempt */
	int64_t since, when;
} table[BUCKETS][WAYS];

void bruteforce_network(const char *address, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	if (inet_pton(AF_INET6, address, &in6) == 1 &&
	    !IN6_IS_ADDR_V4MAPPED(&in6)) {
		memset(&in6.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &in6, out, INET6_ADDRSTRLEN);
	} else {
		snprintf(out, INET6_ADDRSTRLEN, "%s", address);
	}
}

/* The address's entry; a new one takes the place of the oldest. */
static struct entry *find(const char *address, bool add)
{
	char network[INET6_ADDRSTRLEN];
	struct entry *way, *oldest;
	uint32_t hash = 2166136261U;
	const char *p;
	int i;

	bruteforce_network(address, network);
	for (p = network; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	way = oldest = table[hash % BUCKETS];
	for (i = 0; i < WAYS; i++, way++) {
		if (strcmp(way->address, network) == 0)
			return way;
		if (way->when < oldest->when)
			oldest = way;
	}
	if (!add)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	snprintf(oldest->address, sizeof(oldest->address), "%s", network);
	return oldest;
}

int64_t bruteforce_attempt(const struct config *config, const char *address)
{
	int64_t penalty = config->bruteforce_penalty * 1000, now = now_ms();
	int64_t left = 0;
	struct entry *e;

	if (!config->bruteforce_enabled)
		return 0;
	pthread_mutex_lock(&lock);
	e = find(address, true);
	if (now - (e->attempts < config->bruteforce_max_attempts ?
		   e->since : e->when) >= penalty)
		e->attempts = 0;
	if (e->attempts >= config->bruteforce_max_attempts) {
		left = (penalty - (now - e->when) + 999) / 1000;
	} else {
		if (e->attempts++ == 0)
			e->since = now;
		e->when = now;
	}
	pthread_mutex_unlock(&lock);
	return left;
}

void bruteforce_undo(const char *address)
{
	struct entry *e;

	pthread_mutex_lock(&lock);
	e = find(address, false);
	if (e != NULL && e->attempts > 0)
		e->attempts--;
	pthread_mutex_unlock(&lock);
}
