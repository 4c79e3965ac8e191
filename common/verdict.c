#include <stddef.h>
#include <string.h>

#include "recall-verdict.h"

static const char *const verdict_names[RECALL_VERDICT_COUNT] = {
	[RECALL_VERDICT_EXPUNGED] = "expunged",
	[RECALL_VERDICT_READ] = "read",
	[RECALL_VERDICT_NOT_FOUND] = "not_found",
	[RECALL_VERDICT_NOT_SENDER] = "not_sender",
	[RECALL_VERDICT_NO_USER] = "no_user",
	[RECALL_VERDICT_FORBIDDEN] = "forbidden",
	[RECALL_VERDICT_ERROR] = "error",
	[RECALL_VERDICT_WOULD_EXPUNGE] = "would_expunge",
	[RECALL_VERDICT_ALREADY_RECALLED] = "already_recalled",
	[RECALL_VERDICT_RESTORED] = "restored",
	[RECALL_VERDICT_WOULD_RESTORE] = "would_restore",
};

static const char *const notice_status_names[RECALL_NOTICE_COUNT] = {
	[RECALL_NOTICE_NONE] = "none",
	[RECALL_NOTICE_SENT] = "sent",
	[RECALL_NOTICE_FAILED] = "failed",
	[RECALL_NOTICE_ALREADY_SENT] = "already_sent",
};

const char *recall_verdict_name(enum recall_verdict verdict)
{
	return verdict_names[verdict];
}

int recall_verdict_parse(const char *name)
{
	int i;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		if (strcmp(verdict_names[i], name) == 0)
			return i;
	}
	return -1;
}

const char *recall_notice_status_name(enum recall_notice_status status)
{
	return notice_status_names[status];
}
