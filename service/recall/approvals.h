#ifndef APPROVALS_H
#define APPROVALS_H

#include "config.h"
#include "recall.h"

/* Recalls that a second person has to approve. */

/* Whether what the actor has recalled before counts for that one. */
bool approval_count(const struct config *config, const struct recall *recall);

/* Says in recall->approval whether that has to wait. What the actor has
   recalled within the last hour counts, so it is the same in one request or in
   several; if the actor could be anybody, it waits. To be followed by
   journal_add() before anything else is asked. Returns false if the journal
   can't be read. */
bool approval_require(const struct config *config, struct recall *recall);

/* When it expires. */
int64_t approval_expires(const struct config *config,
			 const struct recall *recall);

/* Ends those that nobody has approved in time. */
void approvals_expire(const struct config *config);

#endif
