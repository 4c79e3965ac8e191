#ifndef RECALL_USERS_PRIVATE_H
#define RECALL_USERS_PRIVATE_H

#include "recall-settings.h"
#include "doveadm-recall-jobs.h"
#include "recall-proxy.h"

/* Among the files of doveadm-recall-users.h. */

struct recall_ahead;
struct recall_users_callbacks;

struct recall_users_context {
	pool_t pool;
	struct doveadm_cmd_context *cctx;
	struct mail_storage_service_ctx *service;
	struct recall_proxy *proxy;
	struct recall_proxy_callbacks proxy_callbacks;
	struct recall_rows *rows;
	struct recall_sweep sweep;
	/* NULL if this process does it all */
	struct recall_jobs *jobs;
	/* NULL if auth is asked about one user at a time */
	struct recall_ahead *ahead;
	struct recall_accounts accounts;
	/* Users who come after the one that is worked on, as far as they are
	   known of. */
	const char *const *next;
	unsigned int next_count;
	const struct recall_users_callbacks *callbacks;
	void *context;

	ARRAY_TYPE(const_string) names;
	/* users come from the userdb's iteration: all, or who matches one */
	ARRAY_TYPE(const_string) masks;
	/* Users whose mailbox has been looked at in this pass */
	HASH_TABLE(const char *, char *) done;
	pool_t done_pool;
	/* What jobs have answered: user of a mailbox => the row's columns */
	HASH_TABLE(const char *, const char *const *) answers;
	/* Users of whom it isn't known where their mail is: it may be on other
	   nodes. */
	HASH_TABLE(char *, char *) unplaced;
	/* the users are those asked for by name */
	bool naming;
	/* arguments of a command for several users of a node */
	const char *batch_args[2];
};

/* doveadm-recall-users-get.c: */

/* Reads who is asked for into names and masks. Returns -1 if that is
   unclear. */
int recall_users_get(struct recall_users_context *ctx);
/* Has them be these names and masks. */
void recall_users_set(struct recall_users_context *ctx,
		      const char *const *users);

/* doveadm-recall-users.c: */

/* Returns the signal that has ended the command, 0 if there was none. */
int recall_users_get_signal(void);
bool recall_users_killed(const char **error_r);
/* Whether the rest of the users need not be looked at. */
bool recall_users_done(struct recall_users_context *ctx);
/* Says who comes after the user who is dealt with now. */
void recall_users_set_next(struct recall_users_context *ctx,
			   const char *const *users, unsigned int count);
/* Deals with the user here or has it done elsewhere. named: one asked for by
   name. */
void recall_users_run_one(struct recall_users_context *ctx,
			  const char *username, bool named);
/* Takes the next user's turn. Returns for how many microseconds to wait. */
uint64_t recall_users_take_turn(void *context);
/* Waits until it is the next user's turn, or somebody has had enough. */
void recall_users_pace(void *context);
void recall_users_failed(struct recall_users_context *ctx, const char *username,
			 const char *error);
void recall_users_lost(void *context, const char *username, const char *error);
void recall_users_get_input(const struct recall_users_context *ctx,
			    const char *username,
			    struct mail_storage_service_input *input_r);
/* The user is to be dealt with by this process. named: one asked for by
   name. */
void recall_users_run_here(struct recall_users_context *ctx,
			   const struct mail_storage_service_input *input,
			   bool named);

/* doveadm-recall-users-iterate.c: */

/* Goes through who matches the mask of this index. Returns FALSE if not all
   users were reached. */
bool recall_users_iterate(struct recall_users_context *ctx,
			  unsigned int mask_idx);

/* doveadm-recall-users-proxy.c: */

/* Sets ctx->proxy. local: users of other nodes are not asked about. */
void recall_users_proxy_init(struct recall_users_context *ctx,
			     const char *socket_path, bool local, bool hits);

/* doveadm-recall-users-jobs.c: */

/* Sets ctx->jobs, if there are to be any. */
void recall_users_jobs_init(struct recall_users_context *ctx, bool hits);
void recall_users_jobs_flush(struct recall_users_context *ctx);

#endif
