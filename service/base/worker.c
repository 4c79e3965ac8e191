#include <pthread.h>
#include <stdlib.h>

#include "alloc.h"
#include "worker.h"

struct task {
	struct task *next;
	void (*func)(void *context);
	void *context;
};

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct task *head, **tail;
	unsigned int queued, queue_max, running;
	bool stop;
	unsigned int threads_count;
	pthread_t threads[];
};

static void *worker_main(void *context)
{
	struct worker_pool *pool = context;
	struct task *task;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->head == NULL && !pool->stop)
			pthread_cond_wait(&pool->cond, &pool->lock);
		task = pool->head;
		if (task == NULL)
			break;
		pool->head = task->next;
		if (pool->head == NULL)
			pool->tail = &pool->head;
		pool->queued--;
		pool->running++;
		pthread_mutex_unlock(&pool->lock);
		task->func(task->context);
		free(task);
		pthread_mutex_lock(&pool->lock);
		pool->running--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct worker_pool *worker_pool_start(unsigned int threads,
				      unsigned int queue_max)
{
	struct worker_pool *pool;
	unsigned int i;

	pool = x_calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->cond, NULL);
	pool->tail = &pool->head;
	pool->queue_max = queue_max;
	for (i = 0; i < threads; i++) {
		if (pthread_create(&pool->threads[i], NULL, worker_main,
				   pool) != 0)
			break;
		pool->threads_count++;
	}
	if (pool->threads_count > 0)
		return pool;
	worker_pool_free(pool);
	return NULL;
}

bool worker_pool_add(struct worker_pool *pool, void (*func)(void *context),
		     void *context)
{
	struct task *task = x_calloc(1, sizeof(*task));
	bool ret;

	task->func = func;
	task->context = context;
	pthread_mutex_lock(&pool->lock);
	ret = !pool->stop && pool->queued < pool->queue_max &&
	      pool->threads_count > 0;
	if (ret) {
		*pool->tail = task;
		pool->tail = &task->next;
		pool->queued++;
		pthread_cond_signal(&pool->cond);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!ret)
		free(task);
	return ret;
}

unsigned int worker_pool_queued(struct worker_pool *pool)
{
	unsigned int n;

	pthread_mutex_lock(&pool->lock);
	n = pool->queued;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

unsigned int worker_pool_busy(struct worker_pool *pool)
{
	unsigned int n;

	pthread_mutex_lock(&pool->lock);
	n = pool->queued + pool->running;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

void worker_pool_stop(struct worker_pool *pool)
{
	unsigned int i;

	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->threads_count; i++)
		pthread_join(pool->threads[i], NULL);
}

void worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_cond_destroy(&pool->cond);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
