#include <stdlib.h>

#include "alloc.h"
#include "journal-nodes.h"
#include "journal.h"
#include "log.h"
#include "recall-write.h"

static bool save(const struct recall *recall, const size_t *users, size_t count)
{
	if (!recall->everyone)
		return journal_save(recall, users, count);
	/* that it has finished comes last */
	return journal_save_found(recall, users, count, recall->nodes,
				  recall->node_count) &&
	       journal_save(recall, NULL, 0);
}

void recall_set_unsaved(struct recall *recall, bool unsaved)
{
	if (unsaved && !recall->unsaved)
		log_error("recall %s: the journal could not be written, a "
			  "restart would ask again", recall->id);
	recall->unsaved = unsaved;
}

bool recall_write(struct recall *recall)
{
	size_t *users = x_calloc(recall->count + 1, sizeof(*users)), n = 0, i;
	bool ret;

	for (i = 0; i < recall->count; i++) {
		/* who has none yet may have been listed with it */
		if (recall->everyone || recall->users[i].verdict >= 0)
			users[n++] = i;
	}
	ret = save(recall, users, n);
	free(users);
	recall_set_unsaved(recall, !ret);
	return ret;
}
