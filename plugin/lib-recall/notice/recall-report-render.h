#ifndef RECALL_REPORT_RENDER_H
#define RECALL_REPORT_RENDER_H

#include "recall-verdict.h"
#include "recall-notice-message.h"

struct recall_notice_template;

/* Most users that a report names. */
#define RECALL_REPORT_ROWS_MAX 1000

struct recall_report_row {
	const char *username;
	enum recall_verdict verdict;
	unsigned int copies;
	/* Another node has answered for the user: verdict and copies are not
	   known here. */
	bool proxied;
};
ARRAY_DEFINE_TYPE(recall_report_row, struct recall_report_row);

/* The summary of a recall, or of a restore. Values may have anything in them:
   they are made harmless where they are used. */
struct recall_report {
	/* The command, e.g. "recall expunge". */
	const char *command;
	const char *recall_id;
	/* What was asked for: a Message-ID without angle brackets, or a search
	   query. NULL if it's not known. */
	const char *message_id, *query;
	/* NULL or "" if not given. */
	const char *actor, *reason;
	/* Headers of the first message found, decoded to UTF-8. NULL if there
	   are none. */
	const char *subject, *from, *date;
	/* Users for each verdict, and those of other nodes. */
	unsigned int counts[RECALL_VERDICT_COUNT], proxied_count;
	unsigned int copies;
	/* At most RECALL_REPORT_ROWS_MAX of them, in the order asked for. */
	ARRAY_TYPE(recall_report_row) rows;
};

/* Appends the report to dest as a message like that of a notice; env->username
   is the address it goes to. Returns as recall_notice_render() does. */
int recall_report_render(const struct recall_report *report,
			 const struct recall_notice_template *tmpl,
			 const struct recall_notice_envelope *env,
			 string_t *dest, const char **error_r);

#endif
