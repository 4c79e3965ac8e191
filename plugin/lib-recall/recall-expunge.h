#ifndef RECALL_EXPUNGE_H
#define RECALL_EXPUNGE_H

#include "recall-verdict.h"
#include "recall-find.h"

struct mail_user;
struct recall_copies;
struct recall_count;

/* A recall from one user: look, decide, quarantine, expunge, and look again
   whether something has escaped meanwhile. */
struct recall_order {
	/* RECALL_ID_LEN hexadecimal digits */
	const char *recall_id;
	struct recall_criteria criteria;
	/* For the quarantine's record: the Message-ID without angle brackets, or
	   the query's words; the other one is NULL. */
	const char *message_id, *query;
	const char *actor, *reason;
	/* How many may be deleted from whom, NULL if nobody said. */
	const struct recall_count *count;
	bool force, dry_run;
	/* The recall id is the caller's: an earlier try may have done it. */
	bool may_be_retry;
};

struct recall_outcome {
	enum recall_verdict verdict;
	/* Copies deleted; found ones if none was to be. */
	unsigned int copies;
	/* Where: see RECALL_COLUMN_MAILBOXES. On the data stack; NULL if there
	   are none. */
	const char *mailboxes, *mailbox_guids;
	/* NULL if there is nothing to say. Lives as long as copies. */
	const char *error;
};

/* What is due to the user after a look. Nothing has been changed yet. */
enum recall_verdict
recall_expunge_decide(const struct recall_order *order,
		      const struct recall_copies *copies);

/* Executes the order. username is who order->count knows the user as. copies_r
   tells what was found and deleted; the caller frees it. */
void recall_expunge(struct mail_user *user, const struct recall_order *order,
		    const char *username, struct recall_copies *copies_r,
		    struct recall_outcome *outcome_r);

#endif
