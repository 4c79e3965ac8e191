#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "alloc.h"
#include "bruteforce.h"
#include "clock.h"
#include "network.h"
#include "text.h"

/* Remembered at a time of each kind. An attacker who has more addresses is not
   stopped by counting them anyway. */
#define BUCKETS 4096
#define WAYS 4

struct entry {
	/* of the name: one may be long */
	unsigned char digest[SHA256_DIGEST_LENGTH];
	int64_t attempts;
	/* of the first and the last attempt */
	int64_t since, when;
	/* of accounts, once that is known: the name under which attempts are
	   counted, which is another one of an alias */
	bool known;
	unsigned char account[SHA256_DIGEST_LENGTH];
};

/* Each kind has its own, so that many names of one do not drive out another. */
struct table {
	struct entry entries[BUCKETS][WAYS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* known: accounts that have logged in from an address */
static struct table addresses, accounts, known;

/* The entry of the name that has the digest; a new one takes the place of the
   oldest. */
static struct entry *
find_digest(struct table *table, const unsigned char *digest, bool add)
{
	struct entry *way, *oldest;
	uint32_t hash;
	int i;

	memcpy(&hash, digest, sizeof(hash));
	way = oldest = table->entries[hash % BUCKETS];
	for (i = 0; i < WAYS; i++, way++) {
		if (memcmp(way->digest, digest, SHA256_DIGEST_LENGTH) == 0)
			return way;
		if (way->when < oldest->when)
			oldest = way;
	}
	if (!add)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->digest, digest, SHA256_DIGEST_LENGTH);
	return oldest;
}

static void digest_name(const char *name,
			unsigned char digest[SHA256_DIGEST_LENGTH])
{
	SHA256((const unsigned char *)name, strlen(name), digest);
}

static struct entry *find(struct table *table, const char *name, bool add)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	digest_name(name, digest);
	return find_digest(table, digest, add);
}

/* Where attempts at the login's account are counted. */
static struct entry *find_account(const char *login, bool add)
{
	unsigned char account[SHA256_DIGEST_LENGTH];
	struct entry *e = find(&accounts, login, add);

	if (e == NULL || !e->known ||
	    memcmp(e->account, e->digest, sizeof(e->digest)) == 0)
		return e;
	/* that it is an alias is remembered as long as the attempts */
	e->when = now_ms();
	memcpy(account, e->account, sizeof(account));
	return find_digest(&accounts, account, add);
}

/* Who asks, and for which account. */
struct names {
	char network[INET6_ADDRSTRLEN];
	char *login, *both;
};

static void names_init(struct names *names, const char *address,
		       const char *login)
{
	network_print(address, names->network);
	/* as Dovecot's auth process looks users up */
	names->login = ascii_lower(login);
	names->both = x_asprintf("%s %s", names->network, names->login);
}

static void names_free(struct names *names)
{
	free(names->login);
	free(names->both);
}

/* Returns for how many milliseconds it is blocked, or 0. */
static int64_t blocked_for(const struct config *config, struct entry *e,
			   int64_t max, int64_t now)
{
	int64_t penalty = config->bruteforce_penalty * 1000;

	if (now - (e->attempts < max ? e->since : e->when) >= penalty)
		e->attempts = 0;
	return e->attempts < max ? 0 : penalty - (now - e->when);
}

static void count(struct entry *e, int64_t now)
{
	if (e->attempts++ == 0)
		e->since = now;
	e->when = now;
}

int64_t bruteforce_attempt(const struct config *config, const char *address,
			   const char *login)
{
	struct entry *by_address, *by_account;
	int64_t now = now_ms(), left, more;
	struct names names;

	if (!config->bruteforce_enabled)
		return 0;
	names_init(&names, address, login);
	pthread_mutex_lock(&lock);
	by_address = find(&addresses, names.network, true);
	by_account = find_account(names.login, true);
	left = blocked_for(config, by_address, config->bruteforce_max_attempts,
			   now);
	more = blocked_for(config, by_account,
			   config->bruteforce_max_attempts_per_account, now);
	if (more > left && find(&known, names.both, false) == NULL)
		left = more;
	if (left == 0) {
		count(by_address, now);
		count(by_account, now);
	}
	pthread_mutex_unlock(&lock);
	names_free(&names);
	return (left + 999) / 1000;
}

static void take_back(struct entry *e)
{
	if (e != NULL && e->attempts > 0)
		e->attempts--;
}

static void undo(const char *address, const char *login, bool accepted)
{
	struct names names;

	names_init(&names, address, login);
	pthread_mutex_lock(&lock);
	take_back(find(&addresses, names.network, false));
	take_back(find_account(names.login, false));
	if (accepted)
		find(&known, names.both, true)->when = now_ms();
	pthread_mutex_unlock(&lock);
	names_free(&names);
}

void bruteforce_undo(const char *address, const char *login)
{
	undo(address, login, false);
}

void bruteforce_accepted(const char *address, const char *login)
{
	undo(address, login, true);
}

bool bruteforce_is_guessed(const char *login)
{
	char *name = ascii_lower(login);
	const struct entry *e;
	bool ret;

	pthread_mutex_lock(&lock);
	e = find(&accounts, name, false);
	ret = e != NULL && !e->known && e->attempts > 1;
	pthread_mutex_unlock(&lock);
	free(name);
	return ret;
}

void bruteforce_set_account(const char *login, const char *mailbox)
{
	unsigned char account[SHA256_DIGEST_LENGTH];
	char *name = ascii_lower(login), *of = ascii_lower(mailbox);
	struct entry *e, *main;
	int64_t attempts, since;

	digest_name(of, account);
	pthread_mutex_lock(&lock);
	e = find(&accounts, name, true);
	if (!e->known) {
		attempts = e->attempts;
		since = e->since;
		e->known = true;
		e->attempts = 0;
		memcpy(e->account, account, sizeof(account));
		/* not the one whose place the other takes */
		e->when = now_ms();
		main = find_digest(&accounts, account, true);
		if (main->attempts == 0)
			main->since = since;
		main->attempts += attempts;
		main->when = now_ms();
	}
	pthread_mutex_unlock(&lock);
	free(name);
	free(of);
}
