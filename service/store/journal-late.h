#ifndef JOURNAL_LATE_H
#define JOURNAL_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "recall-limits.h"

/* What standing orders have taken, as the nodes tell: each once, however often
   they do. */
struct journal_late {
	char recall[RECALL_ID_LEN + 1];
	char *username;
	/* as the node has it: 2026-01-31T12:34:56Z */
	char *date;
	int64_t copies;
	char *mailboxes;
	/* RECALL_COLUMN_LINE: of two that are alike otherwise */
	char *line;
};

/* Since when the node has to be asked, 0 for all it knows. */
bool journal_late_cursor(const char *url, int64_t *since_r);
/* Writes those that are not known yet, and the cursor, all or nothing. *added_r
   is how many copies came in by that. */
bool journal_late_add(const char *url, const struct journal_late *lates,
		      size_t count, int64_t since, int64_t *added_r);

/* The first one that the audit trail does not tell of yet. Returns 1, or 0 if
   there is none, -1 on errors. */
int journal_late_next(struct journal_late *late_r);
void journal_late_clear(struct journal_late *late);
/* The audit trail tells of it now. */
bool journal_late_told(const struct journal_late *late);

/* How many copies of the recall came late. */
bool journal_late_count(const char *recall, int64_t *copies_r);

#endif
