#ifndef RECALL_REQUEST_H
#define RECALL_REQUEST_H

#include "recall-message-id.h"
#include "recall-order.h"
#include "doveadm-recall-params.h"

struct doveadm_cmd_context;
struct recall_reporter;

/* What all commands that look for a message are asked. */
struct recall_request {
	/* Points into the request. The recall id was made anew if none was
	   given. */
	struct recall_order order;
	struct recall_message_id message_id;
	/* the words of a query, or NULL */
	const char *const *query_words;
	/* a mail address, NULL if nobody wants a report */
	const char *report_to;
	/* NULL if there is no report to make: the command's own */
	struct recall_reporter *reporter;
	bool dry_run;
};

/* By what the request has mail looked for: RECALL_COLUMN_SEARCHED. */
const char *recall_request_get_searched(const struct recall_request *request);

/* What is looked for: positional, hence last. */
#define RECALL_CMD_CRITERIA_PARAMS \
RECALL_CMD_FLAG_PARAM('\0', RECALL_PARAM_VERIFY_HEADERS, \
		      RECALL_PARAM_VERIFY_HEADERS_HTTP) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_MESSAGE_ID, CMD_PARAM_STR, \
		  CMD_PARAM_FLAG_POSITIONAL) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_QUERY, CMD_PARAM_ARRAY, \
		  CMD_PARAM_FLAG_POSITIONAL)

#define RECALL_CMD_CRITERIA_USAGE "<message-id>|query <search query>"

#define RECALL_CMD_REQUEST_PARAMS \
DOVEADM_CMD_PARAM('s', RECALL_PARAM_SENDER, CMD_PARAM_ARRAY, 0) \
DOVEADM_CMD_PARAM('t', RECALL_PARAM_TENANT, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('r', RECALL_PARAM_REASON, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_ACTOR, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RECALL_ID, CMD_PARAM_STR, 0)

/* Reads the command's parameters. Returns -1 if they can't be accepted; the
   reason has been logged then and doveadm_exit_code set to EX_USAGE. What
   request_r points to lives as long as the command or the data stack frame. */
int recall_request_parse(const struct doveadm_cmd_context *cctx,
			 struct recall_request *request_r);

/* The same for commands that look for no message: reads these parameters
   alone. */
#define RECALL_CMD_RECORD_PARAMS \
DOVEADM_CMD_PARAM('r', RECALL_PARAM_REASON, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_ACTOR, CMD_PARAM_STR, 0) \
RECALL_CMD_RECORD_ID_PARAMS

#define RECALL_CMD_RECORD_ID_PARAMS \
DOVEADM_CMD_PARAM('t', RECALL_PARAM_TENANT, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RECALL_ID, CMD_PARAM_STR, \
		  CMD_PARAM_FLAG_POSITIONAL)

int recall_request_parse_id(const struct doveadm_cmd_context *cctx,
			    struct recall_request *request_r);

/* Frees what recall_request_parse() has allocated. */
void recall_request_deinit(struct recall_request *request);

#endif
