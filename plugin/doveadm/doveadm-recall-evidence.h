#ifndef DOVEADM_RECALL_EVIDENCE_H
#define DOVEADM_RECALL_EVIDENCE_H

#include "recall-evidence.h"

/* Loads what writes evidence from where Dovecot has mail plugins from. It comes
   with libarchive, and this with so much else that no other command is to wait
   for it. Returns NULL on errors. */
const struct evidence_functions *recall_evidence_load(const char **error_r);
/* Does nothing if it is not loaded. */
void recall_evidence_unload(void);

#endif
