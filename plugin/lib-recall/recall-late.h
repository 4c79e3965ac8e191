#ifndef RECALL_LATE_H
#define RECALL_LATE_H

struct mail;
struct mail_user;
struct recall_copies;
struct recall_outcome;
struct recall_standing_order;

/* Whether the standing order (recall-standing.h) is for the user, and has not
   expired. */
bool recall_late_is_for(struct mail_user *user,
			const struct recall_standing_order *standing);
/* Whether it is a notice, of whichever recall, or, if notices are sent by SMTP,
   of an order that stands: a query may find the subject that it quotes. context
   is the directory of orders. */
bool recall_late_is_notice(struct mail *mail, void *context);
/* The words of the query that judges messages by a standing order. */
const char *const *
recall_late_query(const struct recall_standing_order *standing);

/* Carries out a standing order for one user to whom a copy may have come late.
   What was restored to the user stays, as does the user's own outgoing mail
   unless the order is forced. The audit trail and the node's orders are told if
   copies were deleted or could not be. copies_r and outcome_r are as those of
   recall_execute(). Returns FALSE, and sets neither of them, if there is
   nothing to carry out: the order is not for the user, or has expired or was
   ended since it was read. hurried is as in struct recall_order. */
bool recall_late(struct mail_user *user,
		 const struct recall_standing_order *standing, bool hurried,
		 struct recall_copies *copies_r,
		 struct recall_outcome *outcome_r);

#endif
