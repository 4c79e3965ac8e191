#include <time.h>

#include "clock.h"
#include "recall-everyone-private.h"
#include "recall-outcome.h"

#define PAUSE_MAX_MS 60000
/* How soon a stop is seen. */
#define NAP_MS 100

bool everyone_is_held(const struct everyone *all)
{
	return recall_is_held(all->recall) ||
	       __atomic_load_n(&all->recall->makes_room, __ATOMIC_RELAXED);
}

/* Nodes that are down must not keep others from being asked about what comes
   after. */
static void check_place(struct everyone *all)
{
	struct recall *recall = all->recall;

	if (recall->make_room == NULL)
		return;
	pthread_mutex_lock(&all->mutex);
	if (!recall->makes_room &&
	    recall_count_nodes(recall, RECALL_NODE_RUNNING) == 0 &&
	    recall->make_room(all->config))
		__atomic_store_n(&recall->makes_room, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&all->mutex);
}

void everyone_nap(struct everyone *all, int64_t ms)
{
	int64_t end = now_ms() + ms, left;

	while (!everyone_is_held(all) && (left = end - now_ms()) > 0) {
		check_place(all);
		if (left > NAP_MS)
			left = NAP_MS;
		nanosleep(&(struct timespec){
			.tv_nsec = left * 1000000 }, NULL);
	}
}

void everyone_pause_longer(struct everyone *all, int64_t *pause_ms)
{
	everyone_nap(all, *pause_ms);
	*pause_ms *= 2;
	if (*pause_ms > PAUSE_MAX_MS)
		*pause_ms = PAUSE_MAX_MS;
}
