#ifndef AUDIT_CEF_H
#define AUDIT_CEF_H

#include "config.h"
#include "strbuf.h"
#include "strlist.h"

/* Lines in the Common Event Format. A key means the same in every event;
   docs/service.md has the table. */
enum audit_key {
	/* ends a list of fields */
	AUDIT_END = 0,
	AUDIT_SOURCE,
	AUDIT_LOGIN,
	AUDIT_OUTCOME,
	AUDIT_ID,
	AUDIT_MESSAGE_ID,
	AUDIT_USERS,
	AUDIT_VERDICTS,
	AUDIT_TENANT,
	AUDIT_QUERY,
	AUDIT_RECALL,
	AUDIT_STATUS,
	AUDIT_FORCE,
	AUDIT_NOTIFY,
	AUDIT_DRY_RUN,
	AUDIT_MESSAGES,
	AUDIT_IDEMPOTENCY_KEY,
	AUDIT_FIELDS,
	AUDIT_ACCOUNT,
	AUDIT_TOKEN,
	AUDIT_UNTIL,
	AUDIT_MAILBOX,
	AUDIT_RIGHTS,
	AUDIT_COUNT,
	AUDIT_HASH,
	AUDIT_APPROVER,
	AUDIT_MESSAGE,
	AUDIT_REASON,
};

/* The scale of CEF is 0 to 10. */
enum audit_severity {
	AUDIT_LOGGED_IN = 3,
	AUDIT_DONE = 5,
	AUDIT_REFUSED = 7
};

/* Begins a line; event is its class, name says it in words. */
void audit_cef_begin(struct strbuf *line, const struct config *config,
		     const char *event, const char *name,
		     enum audit_severity severity);
/* Adds a value, once a line: what is not visible is escaped, at most
   AUDIT_VALUE_MAX octets are written, and how many of it are left out. NULL
   adds nothing. */
void audit_cef_add(struct strbuf *line, enum audit_key key, const char *value);
void audit_cef_add_number(struct strbuf *line, enum audit_key key,
			  int64_t value);
void audit_cef_add_outcome(struct strbuf *line, bool success);

#define AUDIT_VALUE_MAX 998
/* Lists of ours that are as long as CEF allows, e.g. of users. */
#define AUDIT_LIST_MAX 4000

/* Adds an item to a list, separated by a comma. If it does not fit any more,
   says how many are left, of which this is the first, and returns false. */
bool audit_list_add(struct strbuf *b, const char *item, size_t left);
/* The list, separated by commas, as far as it goes into a line; the rest is
   counted. The caller frees it. */
char *audit_list(const struct strlist *list);

#endif
