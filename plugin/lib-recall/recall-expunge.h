#ifndef RECALL_EXPUNGE_H
#define RECALL_EXPUNGE_H

#include "recall-verdict.h"

struct mail_user;
struct recall_copies;
struct recall_order;
struct recall_outcome;

/* What a recall does to one user's mail. In all of these copies_r has what
   was found and deleted; the caller frees it. Outcomes are of the data stack
   and live as long as copies_r. */

/* Looks for the message and decides what is due to the user. Changes nothing
   and logs nothing. */
enum recall_verdict
recall_search(struct mail_user *user, const struct recall_order *order,
	    struct recall_copies *copies_r);

/* What recall_expunge() would come to now. Changes nothing. */
void recall_probe(struct mail_user *user, const struct recall_order *order,
		  struct recall_copies *copies_r,
		  struct recall_outcome *outcome_r);

/* Looks, decides, quarantines, expunges, and searches once more whether
   something has escaped meanwhile. */
void recall_expunge(struct mail_user *user, const struct recall_order *order,
		    struct recall_copies *copies_r,
		    struct recall_outcome *outcome_r);

#endif
