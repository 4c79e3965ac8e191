#ifndef RECALL_AUDIT_H
#define RECALL_AUDIT_H

#include <stdint.h>

#include "config.h"
#include "journal-late.h"
#include "recall.h"

/* Writes to the audit trail that a recall, its undoing or a dry run came to its
   end. What a crash has kept from being written is written at the next start:
   the journal knows of what. */
void recall_audit(const struct config *config, const struct recall *recall);
/* Writes that nobody has approved it in time. */
void recall_audit_expired(const struct config *config,
			  const struct recall *recall);

/* That is written, or waits, and the journal has heard of the end only now; or
   there is another line about it. lost is what audit_log_lost() said then: if
   that is more by now the line is written anew. */
void recall_audited(const char *id, uint64_t lost);
/* Tells the journal of which ends the trail has, and writes those anew that
   were given up with too many other lines. Called now and then, and at the
   end. */
void recall_audit_tick(const struct config *config);
/* Writes what a crash has left out. */
void recall_audit_resume(const struct config *config);

/* Writes what a standing order has taken; recall is NULL if it is none of the
   journal's. Returns false if the line waits. */
bool recall_audit_late(const struct config *config,
		       const struct recall *recall,
		       const struct journal_late *late);
/* Writes that a node tells of so many more for which there is no room now. */
void recall_audit_late_left(const struct config *config, const char *url,
			    int64_t rows);

#endif
