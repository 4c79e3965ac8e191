#ifndef JOURNAL_APPROVAL_H
#define JOURNAL_APPROVAL_H

#include "journal.h"

/* Recalls that wait for a second person, and how much somebody has recalled
   without one. */

/* The ids of those that wait and that the identity may see, oldest first.
   Returns false if they can't be read. */
bool journal_pending(const struct identity *identity, struct strlist *ids);

/* Writes what became of one that waits, as recall->approval says, with
   approver, decision and decided; one that is not approved has finished.
   *claimed_r is whether it still waited: if not, nothing is done. A decision is
   promised. Returns false if the journal can't be written. */
bool journal_decide(const struct recall *recall, bool *claimed_r);

/* The ids of those that have waited since before the time. */
bool journal_overdue(int64_t before, struct strlist *ids);

/* How many users recalls of the last hour had, before this one, that the same
   person has asked for and nobody had to approve. Dry runs are none. Returns -1
   if that can't be read.

   Here and below those of the next hour count, too: the clock was set back.
   What is farther ahead does not, as it would until then. */
int64_t journal_recalled_users(const struct recall *recall);

/* When the person's max-th last recall of the last hour was; 0 if there were
   fewer. Dry runs, and those that nobody approved, are none. Returns false if
   that can't be read. */
bool journal_nth_recall(const struct recall *recall, int64_t max,
			int64_t *created_r);

#endif
