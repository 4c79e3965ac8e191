#ifndef RECALL_ROW_H
#define RECALL_ROW_H

#include "recall-order.h"

struct doveadm_cmd_context;
struct recall_reporter;

/* A verdict row; its columns are described in recall-params.h. */
struct recall_row {
	/* as asked for */
	const char *username;
	/* NULL if no mailbox was looked at */
	const char *mailbox_user, *searched;
	struct recall_outcome outcome;
};

/* Whether rows of users who don't have the message are left out. */
#define RECALL_CMD_HITS_PARAM \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_HITS, CMD_PARAM_BOOL, 0)

/* Begins with the rows. Those to come are added to the report, if there is one
   (NULL if not). */
void recall_row_init(const struct doveadm_cmd_context *cctx,
		     struct recall_reporter *reporter);
/* Prints the row of a user whose mail was not looked at. */
void recall_row_print_unseen(const char *recall_id, const char *username,
			     enum recall_verdict verdict, const char *error);
/* Prints the row and remembers for recall_row_finish() if it is an error. */
void recall_row_print(const char *recall_id, const struct recall_row *row);
/* Prints the row of mailbox_user's mailbox again, for another name of it. */
void recall_row_repeat(const char *recall_id, const char *username,
		       const char *mailbox_user);
/* Another node has printed somebody's row, if there is one. */
void recall_row_add_proxied(void);
/* Sets doveadm_exit_code: EX_TEMPFAIL if any row was an error. Over HTTP
   the rows themselves tell, since doveadm drops those of a failed command. */
void recall_row_finish(const struct doveadm_cmd_context *cctx);
void recall_row_deinit(void);

#endif
