#ifndef RECALL_NOTIFY_H
#define RECALL_NOTIFY_H

struct mail_user;
struct recall_copies;
struct recall_order;
struct recall_outcome;

/* Notifies the user of what became of the recall, if that is due: the order
   wants it and the setting recall_notify_on (space-separated verdicts, default
   "expunged read") names the verdict. Sets outcome->notice, and outcome->error
   if the notice could not be sent and there was no error yet. */
void recall_notify(struct mail_user *user, const struct recall_order *order,
		   const struct recall_copies *copies,
		   struct recall_outcome *outcome);

#endif
