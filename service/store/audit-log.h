#ifndef AUDIT_LOG_H
#define AUDIT_LOG_H

#include <stdint.h>

#include "config.h"

/* Where lines of the audit trail go: to the file of audit.cef_file, or to
   syslog. What can't be written waits in memory, in order, and is written as
   soon as it can be. All functions may be called from any thread. */

/* No line is longer: audit-cef.c adds up what can be in one. */
#define AUDIT_LINE_MAX 65536

/* Writes the line, which has no line end, and frees it. Returns false if it
   waits. */
bool audit_log_write(const struct config *config, char *line);
/* How many lines were given up: as long as that is the same nothing that waited
   is lost. */
uint64_t audit_log_lost(void);
/* Whether nothing waits any more, after another try, and there is room for what
   requests that are under way will have to say. True if there is no trail to
   write. */
bool audit_log_ready(const struct config *config);
/* Tries again if lines wait. Returns whether none does any more. */
bool audit_log_retry(const struct config *config);
/* The same for the last time: what can't be written goes to the log. */
void audit_log_close(const struct config *config);

#endif
