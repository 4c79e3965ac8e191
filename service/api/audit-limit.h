#ifndef AUDIT_LIMIT_H
#define AUDIT_LIMIT_H

#include <stdint.h>

#include "config.h"

/* How many lines about refused requests an address may cause. */

/* Called with an address that has had enough, and how many lines were left
   out. */
typedef void audit_limit_report_t(const struct config *config,
				  const char *address, uint64_t lines);

/* Whether the address may cause another line within this second; if not, the
   line is counted. Reports those that were left out before. */
bool audit_limit_allow(const struct config *config, const char *address,
		       audit_limit_report_t *report);
/* Reports all that were left out before this second, or, at the end, ever. */
void audit_limit_flush(const struct config *config, bool end,
		       audit_limit_report_t *report);

#endif
