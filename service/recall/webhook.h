#ifndef WEBHOOK_H
#define WEBHOOK_H

#include <stdbool.h>

/* Notifies the server of webhook.url when a recall ends or waits for approval,
   in a thread of its own, again and again until it has said that it knows. */

bool webhook_start(void);
/* What was not sent stays in the journal. */
void webhook_stop(void);

#endif
