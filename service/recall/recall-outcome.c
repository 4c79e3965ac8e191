#include "brakes.h"
#include "recall-outcome.h"

static bool interrupted;

bool recall_has_ended(enum recall_outcome outcome)
{
	return outcome == RECALL_DONE || outcome == RECALL_UNREACHABLE ||
	       outcome == RECALL_TIMEOUT;
}

bool recall_interrupted(void)
{
	return __atomic_load_n(&interrupted, __ATOMIC_RELAXED);
}

void recall_interrupt_all(void)
{
	__atomic_store_n(&interrupted, true, __ATOMIC_RELAXED);
}

bool recall_is_held(const struct recall *recall)
{
	return recall_interrupted() ||
	       (recall->kind == RECALL_EXPUNGE && !recall->dry_run &&
		brakes_stopped());
}
