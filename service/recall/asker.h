#ifndef ASKER_H
#define ASKER_H

#include "config.h"
#include "doveadm-client.h"
#include "recall.h"

/* Whether who asked for a recall might still ask for it: the tokens are not
   revoked since, and userdb (unless approval.check_asker is off) and settings
   give the rights that it was asked for with, or more. DOVEADM_FAILED: no, and
   *why_r, a constant, says why. Anything else than that and DOVEADM_OK: it is
   not known. */
enum doveadm_result
asker_check(struct config *config, const struct recall *recall,
	    const char **why_r);

/* Finds out by what names who asks is known, where recalls of one person are
   counted: somebody may log in under several. */
void asker_identify(struct config *config, struct recall *recall);

#endif
