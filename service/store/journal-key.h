#ifndef JOURNAL_KEY_H
#define JOURNAL_KEY_H

#include "journal.h"
#include "recall.h"

/* Recalls by the name that their callers gave them, to recognize a request that
   is repeated from a new one. */

/* The recall of this caller (login and tenant) and key, or NULL. */
enum journal_result
journal_load_key(const struct identity *actor, const char *key,
		 struct recall **recall_r);

/* Forgets, in the journal, that the recall has finished, and the verdicts that
   are errors. *claimed_r is whether that was done: the caller is to run the
   recall then, and nobody else is. If not, somebody else has just done it;
   finished is 0 in either case. Returns false if the journal can't be
   written. */
bool journal_reopen(struct recall *recall, bool *claimed_r);

#endif
