#ifndef RECALL_JOBS_H
#define RECALL_JOBS_H

#include "doveadm-recall-pace.h"

/* Spreads the users of a command over several processes of the local
   doveadm-server, and keeps their order. Where there is none, or too few users
   for it to be worth while, this process does it all. */

struct doveadm_cmd_context;
struct mail_storage_service_ctx;
struct recall_proxy;
struct recall_jobs;
struct recall_rows;

/* How the command goes through many users. */
struct recall_sweep {
	/* 0: as many as there are processors */
	unsigned int jobs;
	struct recall_pace pace;
	bool low_priority;
};

/* Parameters of commands that have all of this. */
#define RECALL_CMD_SWEEP_PARAMS \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_NODE_USERS, CMD_PARAM_ARRAY, \
		  CMD_PARAM_FLAG_DO_NOT_EXPOSE) \
DOVEADM_CMD_PARAM('j', RECALL_PARAM_JOBS, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_MAX_RATE, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_PRIORITY, CMD_PARAM_STR, 0)

#define RECALL_CMD_SWEEP_USAGE \
	"[--jobs <n>] [--max-rate <users/s>] [--priority low|normal]"

/* Reads them. Returns -1 if they can't be accepted; that has been logged then
   and doveadm_exit_code set. */
int recall_sweep_parse(const struct doveadm_cmd_context *cctx,
		       struct recall_sweep *sweep_r);

struct recall_jobs_callbacks {
	/* A row has come of the user. */
	void (*row)(void *context, const char *username,
		    const char *const *columns);
	/* The user was looked at, and has no row. */
	void (*passed)(void *context, const char *username);
	/* What became of the user is not known, or not all of it. */
	void (*lost)(void *context, const char *username, const char *error);
	/* This process has to deal with the users. */
	void (*run)(void *context, const char *const *users,
		    unsigned int count);
	/* Waits until it is the next user's turn. */
	void (*pace)(void *context);
	/* Whether to begin nothing more; error_r says why. */
	bool (*killed)(const char **error_r);
	/* Called for each row before any is reported, if that is held back. */
	void (*preview)(void *context, const char *const *columns);
	/* A user has no more than one row. */
	bool one_row;
	/* Every user has a row. */
	bool all_have_rows;
};

/* Returns NULL if the command is not one to be spread. */
struct recall_jobs *
recall_jobs_init(const struct doveadm_cmd_context *cctx,
		 struct recall_rows *rows,
		 struct mail_storage_service_ctx *service,
		 struct recall_proxy *proxy, const struct recall_sweep *sweep,
		 const struct recall_jobs_callbacks *callbacks,
		 void *context);
/* Takes the user; one of the callbacks is called, now or later, users in the
   order in which they were added. */
void recall_jobs_add(struct recall_jobs *jobs, const char *username);
/* Whether the users to come are asked for by name, and whether to report
   nothing before recall_jobs_flush(). */
void recall_jobs_begin(struct recall_jobs *jobs, bool named, bool hold);
/* Returns when all users have been reported. */
void recall_jobs_flush(struct recall_jobs *jobs);
/* Frees the jobs. All users must have been reported. */
void recall_jobs_deinit(struct recall_jobs **jobs);

#endif
