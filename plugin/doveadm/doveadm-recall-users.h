#ifndef RECALL_USERS_H
#define RECALL_USERS_H

#include "recall-verdict.h"
#include "doveadm-recall-username.h"

struct doveadm_cmd_context;
struct mail_storage_service_ctx;
struct mail_user;
struct recall_rows;

/* Goes through the users that a command is asked for, so that each is answered
   for exactly once, those of other nodes included: stock doveadm passes over
   missing users in silence and stops at the first user that can't be opened. */

struct recall_users_callbacks {
	/* Called before any user is looked up. users are the names and masks
	   asked for, NULL for everyone; they live until the end. Returns -1 if
	   nothing is to be done. May be NULL. */
	int (*begin)(void *context, struct mail_storage_service_ctx *service,
		     const char *const *users);
	/* The user was opened. username is the name as asked for; where it's an
	   alias, user->username is another one. */
	void (*run)(void *context, struct mail_user *user,
		    const char *username);
	/* The user's name is another one of a mailbox that was looked at, the
	   one of mailbox_user: answers for it without doing anything once more.
	   NULL if there's no harm in doing so. */
	void (*repeat)(void *context, const char *username,
		       const char *mailbox_user);
	/* The user was not opened: RECALL_VERDICT_NO_USER, or
	   RECALL_VERDICT_ERROR if that may go better another time. */
	void (*unseen)(void *context, const char *username,
		       enum recall_verdict verdict, const char *error);
	/* Whether the command's parameter is one for the node that answers for
	   the user, too; user_count is how many are asked for by name if nobody
	   else is, 0 otherwise. NULL if all are. */
	bool (*proxy_param)(void *context, const char *name,
			    unsigned int user_count);
	/* Adds arguments, of the data stack, that the command for these users
	   needs there besides. May be NULL. */
	void (*proxy_args)(void *context, const char *const *users,
			   ARRAY_TYPE(const_string) *args);
	/* This node, see recall_proxy_node(), is about to be asked, for the
	   first time. Returns -1 if it must not be. May be NULL. */
	int (*node)(void *context, const char *node, const char **error_r);
	/* Another node has answered for the user. May be NULL. */
	void (*proxied)(void *context, const char *username);
	/* Whether one more row of another node is to be printed. NULL: all
	   are. */
	bool (*wants_row)(void *context);
	/* It has been; mail: it is of a message. May be NULL. */
	void (*row_printed)(void *context, bool mail);
	/* Another node was asked, but it can't be reached, or it failed before
	   it had answered. NULL if `unseen` will do. */
	void (*lost)(void *context, const char *username, const char *error);
	/* The command prints one row a user. */
	bool one_row;
	/* Returns TRUE if the rest of the users need not be looked at. May be
	   NULL. */
	bool (*done)(void *context);
	/* Whether several processes may share the users: nothing has to be
	   known of all of them together, but what is in their rows. NULL if
	   not; then there is no recall_sweep. */
	bool (*may_spread)(void *context);
	/* Whether a node may be asked for several of its users at once: all of
	   their rows are wanted. NULL: as may_spread. */
	bool (*may_batch)(void *context);
	/* Another process has answered for the user with this row, of all the
	   command's columns. NULL if it is printed as it is. */
	void (*row)(void *context, const char *username,
		    const char *const *columns);
	/* ... and without a row. May be NULL. */
	void (*passed)(void *context, const char *username);
	/* Of two rows that names of one mailbox have got, whether the other one
	   says what was done. NULL if `repeat` is. */
	bool (*is_better)(void *context, const char *const *columns,
			  const char *const *other);
	/* Called after all users; returns TRUE to go through them once more.
	   May be NULL. */
	bool (*again)(void *context);
};

/* The parameters that say which users: -u USER or mask, --users USER (both may
   be repeated), -F FILE, -A. */
#define RECALL_CMD_USERS_PARAMS \
DOVEADM_CMD_PARAM('A', RECALL_PARAM_ALL_USERS, CMD_PARAM_BOOL, 0) \
DOVEADM_CMD_PARAM('S', "socket-path", CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('u', RECALL_PARAM_USER, CMD_PARAM_ARRAY, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_USERS, CMD_PARAM_ARRAY, 0) \
DOVEADM_CMD_PARAM('F', RECALL_PARAM_USER_FILE, CMD_PARAM_ISTREAM, 0)

#define RECALL_CMD_USERS_USAGE \
	"[-u <user|mask> ...|-A|-F <file>|--users <user> ...] " \
	"[-S <socket_path>]"

/* What is not known about a name that is no user's. */
#define RECALL_ERROR_NO_USER \
	"User doesn't exist. If this is a mailing list, name its members; an " \
	"alias has to be known to Dovecot (see doveadm-recall(1))"

/* The users that -u or --users name, NULL-terminated; NULL if that is not how
   users are asked for, or if there are masks among them. */
const char *const *
recall_users_get_names(const struct doveadm_cmd_context *cctx);

/* Whether the command names users: it asks for more than everyone or masks. */
bool recall_users_are_named(const struct doveadm_cmd_context *cctx);

/* Whether another doveadm has its users shared out to several processes, of
   which this is one. */
bool recall_users_are_shared_out(const struct doveadm_cmd_context *cctx);

/* Whether it's another node that asks for several of its users, who live here
   for all that it knows. */
bool recall_users_are_of_node(const struct doveadm_cmd_context *cctx);

/* Whether each name of a mailbox is answered for: those that are named are, and
   those whom another doveadm asks for. */
bool recall_users_have_names(const struct doveadm_cmd_context *cctx);

/* Calls one callback for each user asked for, or, if Dovecot proxies the user
   to another node, runs the command there and prints its rows; then finishes
   the rows. Returns -1 if nothing was done because the users asked for are
   unclear, or by `begin'; that and other failures are logged and set
   doveadm_exit_code. */
int recall_users_run(struct doveadm_cmd_context *cctx,
		     struct recall_rows *rows,
		     const struct recall_users_callbacks *callbacks,
		     void *context);

/* The same for these names and masks, and only for those who live here. */
void recall_users_run_local(struct doveadm_cmd_context *cctx,
			    struct recall_rows *rows,
			    const char *const *users,
			    const struct recall_users_callbacks *callbacks,
			    void *context);

#endif
