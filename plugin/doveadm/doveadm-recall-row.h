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

struct recall_verdict_rows;

/* The verdict rows of a command, all of one recall. They are added to the
   report, too, if there is one (NULL if not). */
struct recall_verdict_rows *
recall_row_init(const struct doveadm_cmd_context *cctx, const char *recall_id,
		struct recall_reporter *reporter);
void recall_row_deinit(struct recall_verdict_rows **vrows);
/* Returns what the rows are printed through. */
struct recall_rows *recall_row_get_rows(struct recall_verdict_rows *vrows);

/* Prints the row. */
void recall_row_print(struct recall_verdict_rows *vrows,
		      const struct recall_row *row);
/* Prints the row of a user whose mail was not looked at. */
void recall_row_print_unseen(struct recall_verdict_rows *vrows,
			     const char *username, enum recall_verdict verdict,
			     const char *error);
/* Prints the row of mailbox_user's mailbox again, for another name of it. */
void recall_row_repeat(struct recall_verdict_rows *vrows, const char *username,
		       const char *mailbox_user);
/* Another node has printed the user's row, or left it out. */
void recall_row_add_proxied(struct recall_verdict_rows *vrows,
			    const char *username);
/* Called after all rows: logs how many users there were, if it is not to be
   seen from the rows. */
void recall_row_finish(struct recall_verdict_rows *vrows);

#endif
