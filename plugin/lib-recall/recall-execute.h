#ifndef RECALL_EXECUTE_H
#define RECALL_EXECUTE_H

struct mail_user;
struct recall_copies;
struct recall_order;
struct recall_outcome;

/* Executes the order for one user whose mailboxes are open for us: looks,
   decides, quarantines, expunges and searches once more (recall-expunge.h),
   notifies the user (recall-notify.h) and logs (recall-events.h).
   copies_r has what was found and deleted; the caller frees it. outcome_r is
   of the data stack and lives as long as copies_r. */
void recall_execute(struct mail_user *user, const struct recall_order *order,
		    struct recall_copies *copies_r,
		    struct recall_outcome *outcome_r);

#endif
