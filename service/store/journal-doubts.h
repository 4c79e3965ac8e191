#ifndef JOURNAL_DOUBTS_H
#define JOURNAL_DOUBTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal-stop.h"
#include "strlist.h"

/* Stops of ours that a node may have, though it could not be told for sure
   whether recalls are stopped: what was sent to it in vain may be done when it
   goes on. */
struct journal_doubt {
	/* of the node, as in the settings */
	char *url;
	/* of the stop: what the node knows it by */
	char *actor, *reason;
	/* it has answered since, once */
	bool answered;
	/* in vain since then; when it is to be told the next time, and when
	   it was to be this time */
	int64_t tries, next, due;
};

/* To be told at once; or, unless `now`, left as it is if it's there already. */
bool journal_doubt_add(const char *url, const struct journal_stop *stop,
		       bool now);
/* Those to be told now, of these nodes; to be freed in any case. Others are
   forgotten: they are none of ours any more. */
bool journal_doubts_due(int64_t now, const struct strlist *urls,
			struct journal_doubt **doubts_r, size_t *count_r);
void journal_doubts_free(struct journal_doubt *doubts, size_t count);
/* Keeps what has changed of it; or it is settled. One that was added anew since
   it was read stays as it is. */
void journal_doubt_keep(const struct journal_doubt *doubt);
void journal_doubt_remove(const struct journal_doubt *doubt);

#endif
