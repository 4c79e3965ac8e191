#ifndef RECALL_RECORD_ROWS_H
#define RECALL_RECORD_ROWS_H

#include "doveadm-recall-request.h"
#include "doveadm-recall-users.h"
#include "recall-quarantine.h"
#include "recall-quarantine-record.h"

/* Commands that go through what the users' quarantines have recorded and print
   rows of it. A user without records has no row; one that could not be looked
   at has a row with a status of enum recall_verdict and no recall id. */

#define RECALL_COLUMN_DATE "date"

struct recall_record_command {
	/* Asks for less than all recalls. NULL if not. */
	const char *recall_id;
	struct recall_request request;
	struct recall_rows *rows;
	bool lock;
	/* Called once for each user before others. Returns -1 on errors. May
	   be NULL. */
	int (*begin)(struct recall_record_command *cmd, struct mail_user *user,
		     const char **error_r);
	/* Called for each recall. boxes are its mailboxes; record is NULL if
	   there is none. May print one row. */
	void (*record)(struct recall_record_command *cmd,
		       struct recall_quarantine *q, const char *username,
		       const char *recall_id,
		       const ARRAY_TYPE(recall_quarantine_box) *boxes,
		       const struct recall_quarantine_record *record);
	/* Called after all of a user's. May be NULL. */
	void (*end)(struct recall_record_command *cmd,
		    struct recall_quarantine *q);
};

/* A row of theirs. Values may be NULL. */
struct recall_record_row {
	const char *username, *recall_id, *status, *error;
	unsigned int copies;
	const struct recall_quarantine_record *record;
};

/* Prints the row. */
void recall_record_row_print(struct recall_record_command *cmd,
			     const struct recall_record_row *row);

/* Runs a command. cmd has its callbacks set; the rest is read from the
   command's parameters. */
void recall_record_command_run(struct doveadm_cmd_context *cctx,
			       struct recall_record_command *cmd);

#endif
