#ifndef RECALL_VERDICT_H
#define RECALL_VERDICT_H

/* What became of a recall for one user. The names (recall_verdict_name()) are
   what commands print and what the HTTP service answers. */
enum recall_verdict {
	/* Copies were deleted. */
	RECALL_VERDICT_EXPUNGED = 0,
	/* The user has read it and the recall was not forced: all kept. */
	RECALL_VERDICT_READ,
	/* The user has no such message. */
	RECALL_VERDICT_NOT_FOUND,
	/* The message's From is not the sender asked for: all kept. */
	RECALL_VERDICT_NOT_SENDER,
	/* There is no such user. */
	RECALL_VERDICT_NO_USER,
	/* The user belongs to another tenant. */
	RECALL_VERDICT_FORBIDDEN,
	/* Nothing is known for sure: a retry is safe. */
	RECALL_VERDICT_ERROR,
	/* Dry run: copies would be deleted. */
	RECALL_VERDICT_WOULD_EXPUNGE,
	/* This recall has already deleted the user's copies. */
	RECALL_VERDICT_ALREADY_RECALLED,
	/* The user's copies were put back. */
	RECALL_VERDICT_RESTORED,
	/* Dry run: they would be. */
	RECALL_VERDICT_WOULD_RESTORE,

	RECALL_VERDICT_COUNT
};

/* What became of the notice to the user. */
enum recall_notice_status {
	/* None was due. */
	RECALL_NOTICE_NONE = 0,
	RECALL_NOTICE_SENT,
	/* It could not be saved; the recall stands nevertheless. */
	RECALL_NOTICE_FAILED,
	/* This recall's notice had already been sent. */
	RECALL_NOTICE_ALREADY_SENT,

	RECALL_NOTICE_COUNT
};

/* The name, e.g. "not_found". */
const char *recall_verdict_name(enum recall_verdict verdict);
/* The verdict that has the name, or -1. */
int recall_verdict_parse(const char *name);
/* The name, e.g. "failed". */
const char *recall_notice_status_name(enum recall_notice_status status);

#endif
