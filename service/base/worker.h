#ifndef WORKER_H
#define WORKER_H

#include <stdbool.h>

/* Threads that take tasks from a queue. */
struct worker_pool;

/* NULL if no thread can be started. The functions that end a pool take that. */
struct worker_pool *worker_pool_start(unsigned int threads,
				      unsigned int queue_max);
/* Returns false if the queue is full or the pool ends. */
bool worker_pool_add(struct worker_pool *pool, void (*task)(void *context),
		     void *context);
/* How many tasks wait. */
unsigned int worker_pool_queued(struct worker_pool *pool);
/* How many tasks wait or run. */
unsigned int worker_pool_busy(struct worker_pool *pool);
/* Takes no more tasks, and returns when those it has are done. */
void worker_pool_stop(struct worker_pool *pool);
/* Only once it has stopped and nobody adds tasks. */
void worker_pool_free(struct worker_pool *pool);

#endif
