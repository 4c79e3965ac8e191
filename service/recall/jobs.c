#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "audit-log.h"
#include "brakes.h"
#include "jobs.h"
#include "journal-db.h"
#include "journal.h"
#include "log.h"
#include "recall-audit.h"
#include "recall-run.h"
#include "recall-write.h"
#include "strlist.h"
#include "worker.h"

/* What waits is in the journal, and only its id is in memory: many recalls of
   many users take more than there is. */
#define JOBS_MAX 10000

/* Recalls from everyone take long: they must not keep others from running. If
   all that is left of one is nodes that are down, it gives up its place. */
#define SWEEPS_MAX 16

struct job {
	char id[RECALL_ID_LEN + 1];
	/* it has been begun before */
	bool resumed;
};

/* One that the journal lacks something of. */
struct kept {
	struct recall *recall;
	enum recall_outcome outcome;
	/* see recall_audited() */
	uint64_t lost;
	struct kept *next;
};

static struct worker_pool *pool, *sweeps;
static pthread_mutex_t paused_lock = PTHREAD_MUTEX_INITIALIZER;
/* ids of those that are stopped, and of others that are to go on later */
static struct strlist paused, parked;

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *first_kept, **last_kept = &first_kept;

static pthread_mutex_t leaving_lock = PTHREAD_MUTEX_INITIALIZER;
/* how many give up their place just now */
static unsigned int leaving;

/* Nothing is done that the audit trail would not have. Only if the process
   is about to stop this returns nevertheless. */
static struct config *wait_for_audit(const struct recall *recall)
{
	struct config *config = config_current();
	bool logged = false;

	while (config->audit_required && !recall_interrupted() &&
	       !audit_log_ready(config)) {
		if (!logged)
			log_warning("recall %s: waits until the audit trail "
				    "can be written", recall->id);
		logged = true;
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		config_unref(config);
		config = config_current();
	}
	return config;
}

/* As many make room as wait; and who waits for nodes by settings that were
   another login, or other nodes, asks them by those of now. */
static bool make_room(const struct config *config)
{
	struct config *current = config_current();
	bool ret = current != config;

	config_unref(current);
	pthread_mutex_lock(&leaving_lock);
	ret = ret || worker_pool_queued(sweeps) > leaving;
	if (ret)
		leaving++;
	pthread_mutex_unlock(&leaving_lock);
	return ret;
}

static void has_made_room(const struct recall *recall)
{
	if (!recall->makes_room)
		return;
	pthread_mutex_lock(&leaving_lock);
	leaving--;
	pthread_mutex_unlock(&leaving_lock);
}

/* What ends while the journal can't be written is kept in memory: it does not
   get more. */
static void wait_for_journal(const char *id)
{
	bool logged = false;

	while (!recall_interrupted() && !journal_ready()) {
		if (!logged)
			log_warning("recall %s: waits until the journal can "
				    "be written", id);
		logged = true;
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	}
}

static void add_to(struct strlist *list, const char *id)
{
	pthread_mutex_lock(&paused_lock);
	strlist_add(list, id);
	pthread_mutex_unlock(&paused_lock);
}

/* The recall was to go on, and was not read: it does so later, if it is still
   there. */
static void put_off(const char *id, enum journal_result found)
{
	if (found == JOURNAL_ABSENT) {
		log_error("recall %s: is not in the journal any more", id);
		return;
	}
	log_error("recall %s: goes on later, since the journal can't be read",
		  id);
	add_to(&parked, id);
}

static void log_resumed(const struct recall *recall)
{
	if (recall->everyone)
		log_info("recall %s: resumed after %lld users", recall->id,
			 (long long)recall_users_done(recall));
	else
		log_info("recall %s: resumed, %zu of %zu users are left",
			 recall->id, recall_count(recall, -1), recall->count);
}

/* Waits until it can go on, unless it has ended. */
static void put_aside(const char *id, enum recall_outcome outcome)
{
	switch (outcome) {
	case RECALL_INTERRUPTED:
		log_info("recall %s: goes on at the next start", id);
		break;
	case RECALL_PAUSED:
		jobs_pause(id);
		break;
	case RECALL_YIELDED:
		log_info("recall %s: makes room while nodes are down", id);
		add_to(&parked, id);
		break;
	case RECALL_DONE:
	case RECALL_UNREACHABLE:
	case RECALL_TIMEOUT:
		break;
	}
}

static void add_kept(struct kept *kept)
{
	kept->next = NULL;
	*last_kept = kept;
	last_kept = &kept->next;
}

bool jobs_keep(struct recall *recall, enum recall_outcome outcome)
{
	struct kept *kept;

	if (!recall->unsaved)
		return false;
	kept = x_calloc(1, sizeof(*kept));
	kept->recall = recall;
	kept->outcome = outcome;
	kept->lost = audit_log_lost();
	pthread_mutex_lock(&kept_lock);
	add_kept(kept);
	pthread_mutex_unlock(&kept_lock);
	return true;
}

/* The first of them. */
static struct kept *take_kept(void)
{
	struct kept *kept = first_kept;

	if (kept != NULL)
		first_kept = kept->next;
	if (first_kept == NULL)
		last_kept = &first_kept;
	return kept;
}

static bool save_kept(struct kept *kept)
{
	if (!recall_write(kept->recall))
		return false;
	log_info("recall %s: the journal has it now", kept->recall->id);
	put_aside(kept->recall->id, kept->outcome);
	if (recall_has_ended(kept->outcome))
		recall_audited(kept->recall->id, kept->lost);
	return true;
}

static void free_kept(struct kept *kept)
{
	recall_free(kept->recall);
	free(kept);
}

void jobs_save(void)
{
	struct kept *kept;
	bool saved = true;

	pthread_mutex_lock(&kept_lock);
	while (saved && (kept = take_kept()) != NULL) {
		saved = save_kept(kept);
		/* as a rule no other can be written then, but one that is
		   damaged is not to hold up the others */
		if (saved)
			free_kept(kept);
		else
			add_kept(kept);
	}
	pthread_mutex_unlock(&kept_lock);
}

/* What can't be written to the very end. */
static void forget_kept(void)
{
	struct kept *kept;

	while ((kept = take_kept()) != NULL) {
		if (!save_kept(kept))
			log_error("recall %s: the journal does not have it "
				  "all: the next start asks again",
				  kept->recall->id);
		free_kept(kept);
	}
}

static void run_job(void *context)
{
	struct job *job = context;
	struct recall *recall = NULL;
	enum recall_outcome outcome;
	enum journal_result found;
	struct config *config;

	wait_for_journal(job->id);
	if (recall_interrupted()) {
		log_info("recall %s: goes on at the next start", job->id);
	} else {
		found = journal_load(job->id, &recall);
		if (found != JOURNAL_FOUND)
			put_off(job->id, found);
		else if (job->resumed)
			log_resumed(recall);
	}
	free(job);
	if (recall == NULL)
		return;
	recall->make_room = make_room;
	config = wait_for_audit(recall);

	outcome = recall_run(recall, config);
	if (!recall->unsaved)
		put_aside(recall->id, outcome);
	if (recall_has_ended(outcome))
		recall_audit(config, recall);
	has_made_room(recall);
	if (!jobs_keep(recall, outcome))
		recall_free(recall);
	config_unref(config);
}

bool jobs_start(const struct config *config)
{
	pool = worker_pool_start(config->journal_workers, JOBS_MAX);
	sweeps = worker_pool_start(SWEEPS_MAX, JOBS_MAX);
	return pool != NULL && sweeps != NULL;
}

static void add_job(const char *id, bool everyone, bool resumed)
{
	struct job *job = x_calloc(1, sizeof(*job));

	snprintf(job->id, sizeof(job->id), "%s", id);
	job->resumed = resumed;
	if (!worker_pool_add(everyone ? sweeps : pool, run_job, job)) {
		log_warning("recall %s: goes on later, since too many wait",
			    id);
		add_to(&parked, id);
		free(job);
	}
}

void jobs_add(struct recall *recall)
{
	add_job(recall->id, recall->everyone, false);
	recall_free(recall);
}

void jobs_pause(const char *id)
{
	log_info("recall %s: paused, since recalls are stopped", id);
	add_to(&paused, id);
}

bool jobs_is_paused(const char *id)
{
	bool ret = false;
	size_t i;

	pthread_mutex_lock(&paused_lock);
	for (i = 0; i < paused.count && !ret; i++)
		ret = strcmp(paused.items[i], id) == 0;
	pthread_mutex_unlock(&paused_lock);
	return ret;
}

void jobs_get_paused(struct strlist *ids)
{
	size_t i;

	pthread_mutex_lock(&paused_lock);
	for (i = 0; i < paused.count; i++)
		strlist_add(ids, paused.items[i]);
	pthread_mutex_unlock(&paused_lock);
}

/* Goes on with the recall when its turn has come. */
static void resume(const char *id)
{
	enum journal_result found;
	bool everyone;

	found = journal_is_everyone(id, &everyone);
	if (found == JOURNAL_FOUND)
		add_job(id, everyone, true);
	else
		put_off(id, found);
}

static void resume_all(struct strlist *list)
{
	struct strlist ids;
	size_t i;

	pthread_mutex_lock(&paused_lock);
	ids = *list;
	memset(list, 0, sizeof(*list));
	pthread_mutex_unlock(&paused_lock);
	for (i = 0; i < ids.count; i++)
		resume(ids.items[i]);
	strlist_free(&ids);
}

void jobs_unpause(void)
{
	if (!brakes_stopped())
		resume_all(&paused);
	resume_all(&parked);
}

bool jobs_resume(void)
{
	struct strlist ids = { NULL, 0, 0 };
	bool ret = journal_unfinished(&ids);
	size_t i;

	for (i = 0; i < ids.count; i++)
		resume(ids.items[i]);
	strlist_free(&ids);
	return ret;
}

void jobs_stop(void)
{
	worker_pool_stop(pool);
	worker_pool_stop(sweeps);
	forget_kept();
	worker_pool_free(pool);
	worker_pool_free(sweeps);
	strlist_free(&paused);
	strlist_free(&parked);
}

unsigned int jobs_busy(void)
{
	return worker_pool_busy(pool) + worker_pool_busy(sweeps);
}
