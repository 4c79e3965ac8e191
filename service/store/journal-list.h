#ifndef JOURNAL_LIST_H
#define JOURNAL_LIST_H

#include <jansson.h>

#include "recall.h"

/* Which of the past recalls are asked for; what is NULL (or, of a flag, -1)
   does not matter. Letters of ASCII are compared without regard to case. */
struct journal_filter {
	/* at most so many */
	int64_t limit;
	/* asked for since the one time, or before the other, if it is not 0;
	   following the recall of the id, in the order of the list */
	int64_t since, before;
	const char *before_id;
	/* exactly these; a Message-ID with or without its brackets */
	const char *cmd, *actor, *message_id;
	/* parts of them */
	const char *reason, *query;
	int force, notify, dry_run;
	/* the verdict of one user at least */
	const char *status;
	/* as recall_json_state() has it; the ids of those that are paused,
	   which the journal does not know */
	const char *state;
	struct strlist paused;
};

/* Past recalls that the identity may see, newest first. The caller gets the
   reference; NULL if the journal can't be read. */
json_t *journal_list(const struct identity *identity,
		     const struct journal_filter *filter);

#endif
