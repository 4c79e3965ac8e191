#ifndef RECALL_ROW_H
#define RECALL_ROW_H

#include "recall-verdict.h"

struct doveadm_cmd_context;
struct recall_reporter;

/* A verdict row; its columns are described in recall-params.h. */
struct recall_row {
	const char *username;
	enum recall_verdict verdict;
	unsigned int copies;
	enum recall_notice_status notice;
	/* NULL if there is nothing to say */
	const char *mailboxes, *mailbox_guids, *searched, *error;
};

/* Prints the headers. The rows to come are added to the report, if there is
   one (NULL if not). */
void recall_row_init(struct recall_reporter *reporter);
/* Prints the row and remembers for recall_row_finish() if it is an error. */
void recall_row_print(const char *recall_id, const struct recall_row *row);
/* Sets doveadm_exit_code: EX_TEMPFAIL if any row was an error. Over HTTP
   the rows themselves tell, since doveadm drops those of a failed command. */
void recall_row_finish(const struct doveadm_cmd_context *cctx);

#endif
