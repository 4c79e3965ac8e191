#ifndef JOURNAL_LATE_H
#define JOURNAL_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "recall-limits.h"

struct strlist;

/* What standing orders have taken, as the nodes tell: each once, however often
   they do. */
struct journal_late {
	char recall[RECALL_ID_LEN + 1];
	char *username;
	/* as the node has it: 2026-01-31T12:34:56Z */
	char *date;
	int64_t copies;
	char *mailboxes;
	/* RECALL_COLUMN_LINE and the node, "<line> <url>": of two that are
	   alike otherwise */
	char *line;
	/* when it was taken */
	int64_t seen;
};

/* Since when the node has to be asked, 0 for all it knows. */
bool journal_late_cursor(const char *url, int64_t *since_r);
/* It has told of all. */
bool journal_late_set_cursor(const char *url, int64_t since);
/* It has not, or had nothing to tell. */
bool journal_late_set_waiting(const char *url, bool waiting);
/* Of how many nodes something waits: of this one, or of all if url is NULL. */
bool journal_late_waiting(const char *url, int64_t *count_r);
/* These are the nodes, by their URLs; others, which may be among them by
   another one, are not asked any more. */
bool journal_late_set_nodes(const struct strlist *urls);
/* Writes those that are not known yet, but no more than max, all or nothing.
   *added_r is how many, *copies_r how many copies of them; *left_r how many of
   count were not looked at any more, as there was one too many. */
bool journal_late_add(const struct journal_late *lates, size_t count,
		      size_t max, size_t *added_r, int64_t *copies_r,
		      size_t *left_r);

/* The first one that the audit trail does not tell of yet, and of another
   recall than these. Returns 1, or 0 if there is none, -1 on errors. */
int journal_late_next(const struct strlist *but, struct journal_late *late_r);
void journal_late_clear(struct journal_late *late);
/* The audit trail tells of it now. */
bool journal_late_told(const struct journal_late *late);

/* What the journal has of the recall's late copies, user by user, and then what
   nodes have told of it and the journal has not: count of them, of any recall.
   They are asked before, and the journal gets none meanwhile, so that each
   counts once, and none is missed. Returns false on errors. */
typedef void journal_late_user_t(const char *username, int64_t copies,
				 void *context);
bool journal_late_users(const char *recall, const struct journal_late *told,
			size_t count, journal_late_user_t *callback,
			void *context);

/* How many copies of the recall came late. */
bool journal_late_count(const char *recall, int64_t *copies_r);

#endif
