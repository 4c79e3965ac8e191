#ifndef JOURNAL_WEBHOOK_H
#define JOURNAL_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "recall-limits.h"

/* What others are to be notified of. The journal itself writes it down in the
   transaction in which a recall ends or begins to wait, so none is lost. */

struct journal_webhook {
	int64_t id;
	char recall[RECALL_ID_LEN + 1];
	/* "finished" or "pending_approval" */
	char event[24];
	int64_t created;
	unsigned int tries;
};

/* The next one that is due. Returns 1 if there is one, 0 if not, -1 if the
   journal can't be read. */
int journal_webhook_next(int64_t now, struct journal_webhook *webhook_r);
/* It has not worked; to be tried again at the time. */
bool journal_webhook_retry(int64_t id, int64_t next);
bool journal_webhook_remove(int64_t id);
/* Removes them all: nobody is to be notified. */
void journal_webhooks_clear(void);

#endif
