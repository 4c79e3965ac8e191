#ifndef LISTING_H
#define LISTING_H

#include <jansson.h>

#include "config.h"
#include "strlist.h"

/* Asks doveadm for messages and gives them out a page at a time. */

/* Where a page begins: after so many messages of the user. */
struct listing_cursor {
	int64_t offset;
	/* NULL: the first; belongs to the caller */
	char *user;
};

struct listing {
	/* set by the caller */
	struct config *config;
	/* RECALL_CMD_SEARCH or RECALL_CMD_FETCH, and its parameters beside
	   users and paging; a reference of the caller */
	const char *command;
	json_t *params;
	/* each of them once; ignored for all_users */
	struct strlist users;
	bool all_users;
	int64_t limit;
	struct listing_cursor cursor;

	/* of the nodes, while all users are gone through */
	size_t group;

	/* set by listing_run(): references of the caller */
	/* rows of messages, as doveadm answers them */
	json_t *rows;
	/* {"email": ..., "error": ...}: who, or what, could not be looked at */
	json_t *errors;
	/* where the next page begins, or NULL; the caller frees it */
	char *next;
};

enum listing_result {
	LISTING_DONE = 0,
	/* doveadm refuses a parameter. */
	LISTING_REFUSED,
	/* The cursor's user is none of the users. */
	LISTING_NO_CURSOR,
	/* A page of that many messages is too large. */
	LISTING_TOO_LARGE,
	/* No doveadm answered for anyone. */
	LISTING_UNREACHABLE,
	LISTING_TIMEOUT
};

/* Reads a cursor that a page before had as its next. */
bool listing_cursor_parse(const char *text, struct listing_cursor *cursor_r);

enum listing_result listing_run(struct listing *listing);

#endif
