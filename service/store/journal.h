#ifndef JOURNAL_H
#define JOURNAL_H

#include "recall.h"

/* The recalls that were asked for, in an SQLite file: written before the first
   command is sent, so that a crash loses none. All functions may be called
   from any thread. */

/* Writes the recall with its users. A crash of the process does not lose it;
   if promised, neither does one of the machine. */
bool journal_add(const struct recall *recall, bool promised);
/* Writes the verdicts of these users, and recall->finished. What somebody else
   has done for a user meanwhile (expunged, restored) stays: this one has found
   nothing left. */
bool journal_save(const struct recall *recall, const size_t *users,
		  size_t count);
/* Writes the verdicts of those of these users who are in error still. Of whom a
   repeated request asks about just now it is only what was done. */
bool journal_save_again(const struct recall *recall, const size_t *users,
			size_t count);

enum journal_result {
	JOURNAL_FOUND = 0,
	JOURNAL_ABSENT,
	/* It can't be read: nothing is known. */
	JOURNAL_FAILED
};

/* The recall of this id, whole, or NULL. */
enum journal_result journal_load(const char *id, struct recall **recall_r);
/* Whether the recall is from everyone; its users are not read. */
enum journal_result journal_is_everyone(const char *id, bool *everyone_r);
/* The ids of recalls that have not finished and wait for nobody, oldest first.
   Returns false if they can't be read. */
bool journal_unfinished(struct strlist *ids);

/* The ids of recalls that have ended since the audit trail was told of one, as
   far as journal_told() knows, oldest first. */
bool journal_untold(struct strlist *ids);
bool journal_told(const char *id);

/* Forgets finished recalls older than that. */
void journal_purge(int64_t before);

#endif
