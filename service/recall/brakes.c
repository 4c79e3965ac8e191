#include <pthread.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "brakes.h"
#include "journal-approval.h"

#define HOUR 3600

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* the one that holds, and the one that was released last */
static struct journal_stop current, former;
static bool stopped;

/* limits */

int64_t brakes_users(const struct config *config, enum role role)
{
	switch (role) {
	case ROLE_SUPER:
		return config->limits_users_super;
	case ROLE_ADMIN:
		return config->limits_users_admin;
	case ROLE_USER:
	case ROLE_NONE:
		break;
	}
	return config->limits_users_user;
}

static int64_t get_recalls(const struct config *config, enum role role)
{
	switch (role) {
	case ROLE_SUPER:
		return config->limits_recalls_super;
	case ROLE_ADMIN:
		return config->limits_recalls_admin;
	case ROLE_USER:
	case ROLE_NONE:
		break;
	}
	return config->limits_recalls_user;
}

bool brakes_count(const struct config *config, const struct recall *recall)
{
	return get_recalls(config, recall->actor.role) > 0 &&
	       recall->kind == RECALL_EXPUNGE && !recall->dry_run;
}

int64_t brakes_wait(const struct config *config, const struct recall *recall)
{
	int64_t max = get_recalls(config, recall->actor.role), last;

	if (!brakes_count(config, recall))
		return 0;
	if (!journal_nth_recall(recall, max, &last))
		return -1;
	if (last == 0)
		return 0;
	return last > recall->created ? HOUR : last + HOUR - recall->created;
}

/* the stop */

static void forget(void)
{
	journal_stop_free(&current);
	memset(&current, 0, sizeof(current));
}

static void set_stopped(bool value)
{
	__atomic_store_n(&stopped, value, __ATOMIC_RELEASE);
}

bool brakes_load(void)
{
	if (!journal_load_stop(&current))
		return false;
	set_stopped(current.actor != NULL);
	return true;
}

bool brakes_stop(const char *actor, const char *reason)
{
	bool ret = true;

	pthread_mutex_lock(&lock);
	if (current.actor == NULL) {
		current.actor = x_strdup(actor);
		current.reason = x_strdup(reason);
		current.since = time(NULL);
		ret = journal_add_stop(&current);
		if (!ret)
			forget();
		set_stopped(ret);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool brakes_release(void)
{
	bool ret;

	pthread_mutex_lock(&lock);
	ret = current.actor == NULL || journal_remove_stop();
	if (ret && current.actor != NULL) {
		journal_stop_free(&former);
		former = current;
		memset(&current, 0, sizeof(current));
	}
	if (ret)
		set_stopped(false);
	pthread_mutex_unlock(&lock);
	return ret;
}

bool brakes_stopped(void)
{
	return __atomic_load_n(&stopped, __ATOMIC_ACQUIRE);
}

static void copy(const struct journal_stop *stop, struct journal_stop *stop_r)
{
	stop_r->actor = stop->actor == NULL ? NULL : x_strdup(stop->actor);
	stop_r->reason = stop->reason == NULL ? NULL : x_strdup(stop->reason);
	stop_r->since = stop->since;
}

void brakes_get(struct journal_stop *stop_r)
{
	pthread_mutex_lock(&lock);
	copy(&current, stop_r);
	pthread_mutex_unlock(&lock);
}

void brakes_get_last(struct journal_stop *stop_r)
{
	pthread_mutex_lock(&lock);
	copy(current.actor != NULL ? &current : &former, stop_r);
	pthread_mutex_unlock(&lock);
}

void brakes_free(void)
{
	forget();
	journal_stop_free(&former);
	memset(&former, 0, sizeof(former));
	set_stopped(false);
}
