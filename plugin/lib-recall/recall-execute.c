#include "lib.h"
#include "recall-copies.h"
#include "recall-events.h"
#include "recall-expunge.h"
#include "recall-notify.h"
#include "recall-order.h"
#include "recall-execute.h"

void recall_execute(struct mail_user *user, const struct recall_order *order,
		    struct recall_copies *copies_r,
		    struct recall_outcome *outcome_r)
{
	recall_expunge(user, order, copies_r, outcome_r);
	if (outcome_r->verdict == RECALL_VERDICT_FORBIDDEN)
		return;
	recall_notify(user, order, copies_r, outcome_r);
	recall_event_finished(user, order, copies_r, outcome_r);
}
