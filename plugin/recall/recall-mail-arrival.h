#ifndef RECALL_MAIL_ARRIVAL_H
#define RECALL_MAIL_ARRIVAL_H

#include "seq-range-array.h"

struct mail_user;
struct mailbox;
struct recall_standing_set;

/* Messages that have arrived in one mailbox and have to be looked at to know
   which standing orders they are for: their Message-ID was not read yet, or
   there are several, or orders are search queries. */
struct recall_mail_arrival {
	char *vname;
	/* Empty if they are not known: to a Maildir that somebody has locked
	   Dovecot saves without waiting, and the next sync assigns UIDs. */
	ARRAY_TYPE(seq_range) uids;
	/* only queries are left to be compared */
	bool hashed;
};
ARRAY_DEFINE_TYPE(recall_mail_arrival, struct recall_mail_arrival);

/* Appends to recall_ids (guid_128_t) the orders that messages' hashes are of,
   and to arrivals the messages for which that is not all. The parameters are
   those of recall_mail_standing_saved(). */
void recall_mail_arrivals_add(const struct recall_standing_set *set,
			      struct mailbox *box,
			      const ARRAY_TYPE(seq_range) *uids,
			      const ARRAY_TYPE(uint64_t) *hashes,
			      const ARRAY_TYPE(seq_range) *arrived,
			      bool ordered,
			      ARRAY_TYPE(recall_mail_arrival) *arrivals,
			      buffer_t *recall_ids);
/* Looks at the messages and appends the orders that they are for. What can't be
   looked at is logged. */
void recall_mail_arrivals_judge(struct mail_user *user,
				const struct recall_standing_set *set,
				ARRAY_TYPE(recall_mail_arrival) *arrivals,
				buffer_t *recall_ids);
void recall_mail_arrivals_clear(ARRAY_TYPE(recall_mail_arrival) *arrivals);

#endif
