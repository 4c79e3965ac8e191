#ifndef JOURNAL_STANDING_H
#define JOURNAL_STANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recall-limits.h"
#include "journal.h"
#include "strlist.h"

/* On which nodes the orders of recalls stand, and on which that, or that they
   have ended, is still to be said. A node is a URL of the settings. Expired
   orders are forgotten. */

enum standing_state {
	/* the node has to be given the order */
	STANDING_MISSING = 0,
	/* it has it; what arrived there before that is to be looked for */
	STANDING_LOOK,
	STANDING_STANDS,
	/* the node has to be told that it has ended */
	STANDING_ENDING,
	STANDING_ENDED
};

/* Not a node, but the users of the recall whose verdict is an error: they are
   in STANDING_LOOK, to be asked about once more. */
#define STANDING_USERS ""

struct journal_standing {
	char recall[RECALL_ID_LEN + 1];
	char *url;
	enum standing_state state;
	/* seconds since the epoch: when it came into the state, and when the
	   order expires */
	int64_t since, until;
	/* of the last try, or NULL */
	char *error;
};

/* The order is to stand until then on these nodes: those that are not known
   yet are missing, and tried from then on. */
bool journal_standing_add(const char *recall, const struct strlist *urls,
			  int64_t until, int64_t next);
/* Until when the order stands: 0 if there is none, -1 if it has ended. */
bool journal_standing_until(const char *recall, int64_t *until_r);
/* All that is known of a recall's order; to be freed in any case. */
bool journal_standing_load(const char *recall, struct journal_standing **rows_r,
			   size_t *count_r);
void journal_standing_free(struct journal_standing *rows, size_t count);

/* The node has done what it had to. JOURNAL_ABSENT means that its state was
   another one by then, JOURNAL_FAILED that nothing is written. */
enum journal_result
journal_standing_settle(const struct journal_standing *row,
			enum standing_state state);
/* It has not: it's tried again after a pause that grows up to pause_max
   seconds. If the node was not reached, that goes for all it has to be told.
   Returns false if nothing is written. */
bool journal_standing_failed(const struct journal_standing *row,
			     int64_t pause_max, bool unreached,
			     const char *error);
/* The node is there: it's told all the rest without a pause, and so are the
   recall's users looked for. */
void journal_standing_wake(const char *url, const char *recall);
/* All nodes where it stands have to be given the order once more, and are tried
   from then on. */
bool journal_standing_again(const char *recall, int64_t next);

/* Whether users of the recall are known to be aliases: the order was not for
   their mailboxes from the beginning. */
bool journal_standing_has_aliases(const char *recall);

/* What is to be tried now: of each node one order, missing or ending. */
bool journal_standing_due(int64_t now, struct journal_standing **rows_r,
			  size_t *count_r);
/* One that is to be looked at now, if any. */
bool journal_standing_due_look(int64_t now, struct journal_standing **rows_r,
			       size_t *count_r);

/* Users of the recall are to be asked about once more, unless its order was
   ended. */
bool journal_standing_add_users(const char *recall, int64_t until,
				int64_t next);
/* The same for all recalls of which a crash may have kept somebody from saying
   so. */
void journal_standing_find_users(void);
/* There are none any more. */
bool journal_standing_remove_users(const char *recall);

/* The order is to end on these nodes, and wherever else it is known to stand.
   One that nobody knows is tried until then. */
bool journal_standing_end(const char *recall, const struct strlist *urls,
			  int64_t until, int64_t next);
/* Nothing need be known of it, unless it is of a recall of the journal. */
void journal_standing_forget(const char *recall);

/* Forgets what has expired. */
void journal_standing_expire(int64_t now);
/* These are the nodes now: new ones are to be given what stands, and others are
   none any more. */
bool journal_standing_set_nodes(const struct strlist *urls, int64_t now);

#endif
