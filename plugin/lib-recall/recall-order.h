#ifndef RECALL_ORDER_H
#define RECALL_ORDER_H

#include "recall-verdict.h"
#include "recall-find.h"

/* How long a delivery waits for a quarantine that others have locked. */
#define RECALL_LATE_LOCK_SECS 5

/* A recall: what it's asked to do, the same for each user, and what came of it
   for one of them. Whoever gives the order, a command or the node itself, has
   it carried out by recall_execute(). */

struct recall_order {
	/* RECALL_ID_LEN hexadecimal digits */
	const char *recall_id;
	struct recall_criteria criteria;
	/* For records and the audit trail: the Message-ID without angle
	   brackets, or the query's words; the other one is NULL. */
	const char *message_id, *query;
	/* Likewise; "" if not known. */
	const char *actor, *approver, *reason;
	/* Only users of this tenant, or NULL. */
	const char *tenant;
	/* The most copies that may be deleted from the user, NULL if any number
	   may. */
	const unsigned int *max_copies;
	/* That is by all tries together, as far as the quarantine knows. */
	bool max_of_all_tries;
	bool force, notify;
	/* Somebody is told of what the message is. */
	bool report;
	/* Somebody waits who has nothing to do with it: if the quarantine is
	   locked for more than RECALL_LATE_LOCK_SECS it's not done. */
	bool hurried;
	/* The recall id is the caller's: an earlier try may have done it. */
	bool may_be_retry;
	/* Audit events are logged only for debugging, since the caller tells
	   what became of the recall. Exporters get them in any case. */
	bool quiet;
	/* The same for users who don't have the message: only the others are of
	   interest to the caller. */
	bool hits;
};

struct recall_outcome {
	enum recall_verdict verdict;
	/* Copies deleted (restored); found ones if nothing was to be
	   changed. */
	unsigned int copies;
	/* Copies that a restore found where they belong. */
	unsigned int present;
	/* When a purge may delete what was deleted here; 0 if not known. */
	time_t kept_until;
	/* Where: see RECALL_COLUMN_MAILBOXES. NULL if there are none. */
	const char *mailboxes, *mailbox_guids;
	enum recall_notice_status notice;
	/* It was not done, as the quarantine is locked. */
	bool locked;
	/* NULL if there is nothing to say. */
	const char *error;
};

#endif
