#ifndef RECALL_ACTION_H
#define RECALL_ACTION_H

#include "http-request.h"
#include "recall-run.h"

/* What requests for a recall and for its undoing have in common. Functions
   that return false have answered the request. */

/* A recall by whom the request is from. reason may be NULL. */
struct recall *recall_action_new(const struct http_request *request,
				 const char *reason);
/* Adds the users of the parameter "emails". */
bool recall_action_add_emails(struct http_request *request,
			      struct recall *recall);
/* The same, or everyone if the parameter "all" says so. */
bool recall_action_get_users(struct http_request *request,
			     struct recall *recall);
/* Adds to a recall from the journal those who have had late copies only. whole:
   a node that does not answer, so that some of the last minute may be missing,
   answers the request, too. */
bool recall_action_add_late(struct http_request *request,
			    struct recall *recall, bool whole);
/* Takes the caller's own name of the request, if it has one. */
bool recall_action_get_key(struct http_request *request,
			   struct recall *recall);
/* Whether the caller asked for a recall under the same name before. Then the
   request has been answered: by what came of it, after asking once more about
   those users for whom it failed; by that it was another recall; or by that
   nobody knows. */
bool recall_action_repeat(struct http_request *request,
			  const struct recall *recall);
/* Whether a run came to verdicts. */
bool recall_action_check(struct http_request *request,
			 const struct recall *recall,
			 enum recall_outcome outcome);
/* 202: its state is to be asked for. */
void recall_action_reply_accepted(struct http_request *request,
				  const struct recall *recall);
/* Journals the recall, runs it, or has it run in the background, answers the
   request and frees the recall. Verdicts that are there already stand. One
   that was asked for before is repeated as above, one that a second person has
   to approve waits. */
void recall_action_run(struct http_request *request, struct recall *recall);

#endif
