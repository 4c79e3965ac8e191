#ifndef RECALL_SAVE_H
#define RECALL_SAVE_H

#include "mail-types.h"

struct mailbox;

/* Saves a message of ours, received now, in a transaction of its own. Returns
   -1 on error, which is the mailbox's. */
int recall_save(struct mailbox *box, enum mail_flags flags,
		const string_t *message, const char *reason);

#endif
