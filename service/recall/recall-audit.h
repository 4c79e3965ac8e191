#ifndef RECALL_AUDIT_H
#define RECALL_AUDIT_H

#include "config.h"
#include "journal-late.h"
#include "recall.h"

/* Writes to the audit trail that a recall, its undoing or a dry run came to its
   end. */
void recall_audit(const struct config *config, const struct recall *recall);
/* Writes that nobody has approved it in time. */
void recall_audit_expired(const struct config *config,
			  const struct recall *recall);

/* Writes what a standing order has taken; recall is NULL if it is none of the
   journal's. */
void recall_audit_late(const struct config *config,
		       const struct recall *recall,
		       const struct journal_late *late);
/* Writes that a node tells of so many more for which there is no room now. */
void recall_audit_late_left(const struct config *config, const char *url,
			    int64_t rows);

#endif
