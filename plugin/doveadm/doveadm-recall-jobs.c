#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "master-service.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-proxy-batch.h"
#include "recall-proxy.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-jobs.h"

#include <unistd.h>

/* Users of a batch: what a command costs by itself is that of some dozen. */
#define JOBS_BATCH_MAX 200
/* Batches for each process, so that all end at about the same time. */
#define JOBS_BATCHES_EACH 4
/* Users from which on it is worth while, if nobody asked for it. */
#define JOBS_USERS_MIN (2 * JOBS_BATCH_MAX)
/* Batches for each process that wait to be reported. */
#define JOBS_WINDOW 8
#define JOBS_MAX 1000

struct recall_jobs {
	const struct doveadm_cmd_context *cctx;
	struct recall_rows *rows;
	struct recall_proxy *proxy;
	struct recall_jobs_callbacks callbacks;
	void *context;
	struct recall_proxy_batch_callbacks batch_callbacks;

	unsigned int count, batch_size, users_min;
	/* arguments of the commands: of those for users asked for by name, and
	   of all with the one more that says that they were not */
	const char *args[3];
	bool named;

	/* users who are in no batch yet */
	ARRAY_TYPE(const_string) users;
	pool_t users_pool;
	/* not reported yet, in order */
	ARRAY(struct recall_proxy_batch *) batches;
	/* there are other processes, or there is no use in looking for them */
	bool connected, alone;
	/* report nothing for now */
	bool hold;
};

static int
sweep_get_priority(const struct doveadm_cmd_context *cctx, bool *low_r)
{
	const char *value;

	/* nobody waits for everyone */
	*low_r = FALSE;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, low_r);
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_PRIORITY, &value))
		return 0;
	*low_r = strcmp(value, RECALL_PRIORITY_LOW) == 0;
	if (*low_r || strcmp(value, RECALL_PRIORITY_NORMAL) == 0)
		return 0;
	recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_PRIORITY
			 " is neither "RECALL_PRIORITY_LOW" nor "
			 RECALL_PRIORITY_NORMAL);
	return -1;
}

int recall_sweep_parse(const struct doveadm_cmd_context *cctx,
		       struct recall_sweep *sweep_r)
{
	i_zero(sweep_r);
	if (recall_cmd_param_number(cctx, RECALL_PARAM_JOBS,
				    &sweep_r->jobs) < 0 ||
	    recall_cmd_param_number(cctx, RECALL_PARAM_MAX_RATE,
				    &sweep_r->pace.rate) < 0)
		return -1;
	if (sweep_r->jobs > JOBS_MAX) {
		recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_JOBS
				 " is more than %u", JOBS_MAX);
		return -1;
	}
	return sweep_get_priority(cctx, &sweep_r->low_priority);
}

/* The administrator's limit; 0 if there is none. */
static int
jobs_get_limit(const struct doveadm_cmd_context *cctx ATTR_UNUSED,
	       struct mail_storage_service_ctx *service, unsigned int *limit_r)
{
	struct recall_service_settings set;
	const char *error;
	pool_t pool = pool_alloconly_create("recall jobs settings", 4096);
	int ret;

	ret = recall_settings_get_service(service, recall_cmd_get_event(cctx),
					  pool, FALSE, &set, &error);
	if (ret == 0) {
		ret = recall_settings_parse_jobs(set.recall->recall_jobs_max,
						 limit_r, &error);
	}
	if (ret < 0)
		i_error("%s: This process works alone", error);
	pool_unref(&pool);
	return ret;
}

static unsigned int
jobs_get_count(const struct doveadm_cmd_context *cctx,
	       struct mail_storage_service_ctx *service,
	       const struct recall_sweep *sweep)
{
	static const char *const none = NULL;
	unsigned int limit, count = sweep->jobs;

	/* settings of this command line would not hold over there: mail could
	   be deleted that -o has a quarantine for */
	if (recall_proxy_get_override(&none) != NULL) {
		if (count > 1) {
			i_warning("With -o this process works alone, not "
				  "--jobs %u", count);
		}
		return 1;
	}
	if (count == 0)
		count = I_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
	if (count == 1 || jobs_get_limit(cctx, service, &limit) < 0)
		return 1;
	return limit == 0 ? count : I_MIN(count, limit);
}

struct recall_jobs *
recall_jobs_init(const struct doveadm_cmd_context *cctx,
		 struct recall_rows *rows,
		 struct mail_storage_service_ctx *service,
		 struct recall_proxy *proxy, const struct recall_sweep *sweep,
		 const struct recall_jobs_callbacks *callbacks, void *context)
{
	struct recall_jobs *jobs;
	unsigned int count;

	/* A server's processes should not wait for each other: they are as
	   many as whoever asks has it asked for at a time, unless told
	   otherwise. */
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP ||
	    (cctx->conn_type == DOVEADM_CONNECTION_TYPE_HTTP &&
	     sweep->jobs == 0))
		return NULL;
	count = jobs_get_count(cctx, service, sweep);
	if (count < 2)
		return NULL;
	jobs = i_new(struct recall_jobs, 1);
	jobs->cctx = cctx;
	jobs->rows = rows;
	jobs->proxy = proxy;
	jobs->callbacks = *callbacks;
	jobs->context = context;
	jobs->batch_callbacks.row = callbacks->row;
	jobs->batch_callbacks.passed = callbacks->passed;
	jobs->batch_callbacks.lost = callbacks->lost;
	jobs->batch_callbacks.one_row = callbacks->one_row;
	jobs->batch_callbacks.all_have_rows = callbacks->all_have_rows;
	jobs->count = count;
	jobs->users_min = sweep->jobs > 0 ? 2 : JOBS_USERS_MIN;
	jobs->batch_size = JOBS_BATCH_MAX;
	if (sweep->pace.rate > 0) {
		/* not all of a second's users at once */
		jobs->batch_size = I_MIN(jobs->batch_size,
			I_MAX(sweep->pace.rate / JOBS_BATCHES_EACH, 1));
	}
	jobs->args[0] = "--"RECALL_PARAM_ALL_USERS;
	jobs->args[1] = sweep->low_priority ?
		"--"RECALL_PARAM_PRIORITY"="RECALL_PRIORITY_LOW :
		"--"RECALL_PARAM_PRIORITY"="RECALL_PRIORITY_NORMAL;
	i_array_init(&jobs->users, JOBS_USERS_MIN);
	i_array_init(&jobs->batches, jobs->count * JOBS_WINDOW);
	jobs->users_pool = pool_alloconly_create("recall jobs users", 4096);
	return jobs;
}

/* Reports batches as far as they have finished. */
static void jobs_tell(struct recall_jobs *jobs)
{
	struct recall_proxy_batch *batch;

	while (array_count(&jobs->batches) > 0) {
		batch = array_idx_elem(&jobs->batches, 0);
		if (!batch->finished)
			break;
		array_pop_front(&jobs->batches);
		T_BEGIN {
			recall_proxy_batch_tell(batch, &jobs->batch_callbacks,
						jobs->context);
		} T_END;
		recall_proxy_batch_deinit(&batch);
	}
}

static void jobs_forget_users(struct recall_jobs *jobs)
{
	array_clear(&jobs->users);
	p_clear(jobs->users_pool);
}

/* This process does what is left. */
static void jobs_run_users(struct recall_jobs *jobs)
{
	const char *const *users;
	unsigned int count;

	users = array_get(&jobs->users, &count);
	jobs->callbacks.run(jobs->context, users, count);
	jobs_forget_users(jobs);
}

static void
jobs_send_batch(struct recall_jobs *jobs, struct recall_proxy_batch *batch)
{
	const char *error;
	unsigned int i;

	for (i = 0; i < batch->users_count; i++)
		jobs->callbacks.pace(jobs->context);
	if (jobs->callbacks.killed(&error)) {
		batch->error = p_strdup(batch->pool, error);
		batch->finished = TRUE;
	} else {
		recall_proxy_send_batch(jobs->proxy, batch);
	}
}

static void jobs_send(struct recall_jobs *jobs, unsigned int size)
{
	struct recall_proxy_batch *batch;
	const char *const *users;
	unsigned int i, count;

	users = array_get(&jobs->users, &count);
	for (i = 0; i < count; i += size) {
		while (!jobs->hold &&
		       (!recall_proxy_is_hungry(jobs->proxy) ||
			array_count(&jobs->batches) >=
			jobs->count * JOBS_WINDOW) &&
		       recall_proxy_wait(jobs->proxy))
			jobs_tell(jobs);
		batch = recall_proxy_batch_init(jobs->rows, users + i,
			I_MIN(size, count - i),
			jobs->named ? &jobs->args[1] : jobs->args);
		array_push_back(&jobs->batches, &batch);
		jobs_send_batch(jobs, batch);
	}
	jobs_forget_users(jobs);
	if (!jobs->hold)
		jobs_tell(jobs);
}

/* Finds other processes for the users who have been added. */
static bool jobs_connect(struct recall_jobs *jobs)
{
	if (jobs->connected || jobs->alone)
		return jobs->connected;
	jobs->connected = recall_proxy_connect_local(jobs->proxy, jobs->count);
	jobs->alone = !jobs->connected;
	return jobs->connected;
}

void recall_jobs_add(struct recall_jobs *jobs, const char *username)
{
	if (jobs->alone) {
		jobs->callbacks.run(jobs->context, &username, 1);
		return;
	}
	username = p_strdup(jobs->users_pool, username);
	array_push_back(&jobs->users, &username);
	if (jobs->connected) {
		if (array_count(&jobs->users) >= jobs->batch_size)
			jobs_send(jobs, jobs->batch_size);
	} else if (array_count(&jobs->users) >= JOBS_USERS_MIN) {
		if (jobs_connect(jobs))
			jobs_send(jobs, jobs->batch_size);
		else
			jobs_run_users(jobs);
	}
}

void recall_jobs_flush(struct recall_jobs *jobs)
{
	const unsigned int count = array_count(&jobs->users);
	const unsigned int parts = jobs->count * JOBS_BATCHES_EACH;
	struct recall_proxy_batch *batch;

	if (jobs->connected ||
	    (count >= jobs->users_min && jobs_connect(jobs))) {
		jobs_send(jobs, I_MIN(jobs->batch_size,
				      I_MAX((count + parts - 1) / parts, 1)));
	} else {
		jobs_run_users(jobs);
	}
	array_foreach_elem(&jobs->batches, batch) {
		while (!batch->finished && recall_proxy_wait(jobs->proxy)) ;
		if (!jobs->hold)
			continue;
		recall_proxy_batch_foreach(batch, jobs->callbacks.preview,
					   jobs->context);
	}
	jobs_tell(jobs);
}

void recall_jobs_begin(struct recall_jobs *jobs, bool named, bool hold)
{
	jobs->named = named;
	jobs->hold = hold;
}

void recall_jobs_deinit(struct recall_jobs **_jobs)
{
	struct recall_jobs *jobs = *_jobs;

	*_jobs = NULL;
	i_assert(array_count(&jobs->batches) == 0);
	array_free(&jobs->batches);
	array_free(&jobs->users);
	pool_unref(&jobs->users_pool);
	i_free(jobs);
}
