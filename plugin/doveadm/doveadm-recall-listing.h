#ifndef RECALL_LISTING_H
#define RECALL_LISTING_H

#include "seq-range-array.h"
#include "recall-box-dirs.h"
#include "recall-find.h"
#include "doveadm-recall-request.h"

struct doveadm_cmd_context;
struct mail;
struct recall_rows;

/* The messages that were found in one mailbox. */
struct recall_listing_box {
	struct recall_box_dirs dirs;
	ARRAY_TYPE(seq_range) uids;
};

/* A command that prints a row for each message found and changes nothing. */
struct recall_listing {
	/* set by the command before recall_listing_run() */
	struct recall_find_wanted wanted;
	/* Prints the columns of a message, all but the last, which is error
	   and gets what error_r is set to. Returns FALSE, and prints nothing,
	   if the message turns out to be gone. */
	bool (*print)(struct recall_listing *listing, struct mail *mail,
		      const char **error_r);
	/* Processes may share the users, if it's all messages of them. */
	bool may_spread;
	struct recall_rows *rows;

	/* for the command to read: of the current message */
	const char *username;
	/* whose mailbox it is */
	const char *mailbox_user;
	/* GUID of its mailbox */
	const char *guid;

	/* of the user: mailboxes that something was found in */
	pool_t pool;
	ARRAY(struct recall_listing_box) boxes;
	/* the current one is the last of these, and is one before, too */
	bool box_added, box_again;

	struct recall_request request;
	unsigned int limit, count;
	/* messages to pass over, and how many have been */
	unsigned int offset, skipped;
	/* users whom this node, or another, answered for */
	unsigned int own_users, proxied_users;
	bool have_offset, named_users;
	/* the limit is that of all nodes' messages together */
	bool total;
};

/* Of the request the parameters --sender and --tenant, besides --limit and
   --offset. */
#define RECALL_CMD_LISTING_PARAMS \
DOVEADM_CMD_PARAM('s', RECALL_PARAM_SENDER, CMD_PARAM_ARRAY, 0) \
DOVEADM_CMD_PARAM('t', RECALL_PARAM_TENANT, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('l', RECALL_PARAM_LIMIT, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_OFFSET, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_HITS, CMD_PARAM_BOOL, 0)

#define RECALL_CMD_LISTING_USAGE \
	"[--verify-headers] [--sender <address> ...] [--tenant <tenant>] " \
	"[--limit <n>] [--offset <n>] [--hits]"

/* Reads the parameters. Returns -1 as recall_request_parse() does. */
int recall_listing_parse(const struct doveadm_cmd_context *cctx,
			 struct recall_listing *listing);
/* Prints the rows as messages are found, so memory use does not depend on their
   number. What has two names is printed by the first. Users and mailboxes that
   can't be looked at get a row with the error. Users of another tenant are
   passed over unless they were asked for by name. Sets doveadm_exit_code. */
void recall_listing_run(struct doveadm_cmd_context *cctx,
			struct recall_listing *listing);
/* Frees the request and the rows. */
void recall_listing_deinit(struct recall_listing *listing);

/* A time as columns have it: UTC, ISO 8601; "" if it is no date. */
const char *recall_listing_time(time_t t);

#endif
