#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "istream.h"
#include "lib-signals.h"
#include "ostream-private.h"
#include "str.h"
#include "unichar.h"
#include "wildcard-match.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "doveadm-settings.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-proxy.h"
#include "doveadm-recall-print.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-users.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A line of a user file that is longer than any address is not a user. */
#define RECALL_USER_FILE_LINE_MAX 8192

struct recall_users_context {
	pool_t pool;
	struct doveadm_cmd_context *cctx;
	struct mail_storage_service_ctx *service;
	struct recall_proxy *proxy;
	struct recall_sweep sweep;
	/* NULL if this process does it all */
	struct recall_jobs *jobs;
	const struct recall_users_callbacks *callbacks;
	void *context;

	ARRAY_TYPE(const_string) names;
	/* users come from the userdb's iteration: all, or who matches one */
	ARRAY_TYPE(const_string) masks;
	/* Users whose mailbox has been looked at in this pass */
	HASH_TABLE(const char *, char *) done;
	pool_t done_pool;
	/* What jobs have answered: user of a mailbox => the row's columns */
	HASH_TABLE(const char *, const char *const *) rows;
	/* the users are those asked for by name */
	bool naming;
};

static int killed_signo;
/* the connection of the doveadm that asks; NULL if it's none */
static struct ostream *recall_users_client;

static void sig_die(const siginfo_t *si, void *context ATTR_UNUSED)
{
	killed_signo = si->si_signo;
}

/* Another doveadm asked, and is gone: nobody wants the rest. */
static bool recall_users_client_is_gone(void)
{
	struct ostream *output = recall_users_client;
	int fd = -1;
	char c;

	/* the channel that rows go into has none of its own */
	while (output != NULL && (fd = o_stream_get_fd(output)) == -1)
		output = output->real_stream->parent;
	return fd != -1 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool recall_users_killed(const char **error_r)
{
	if (killed_signo != 0) {
		*error_r = t_strdup_printf("Killed with signal %d",
					   killed_signo);
		return TRUE;
	}
	if (recall_users_client_is_gone()) {
		*error_r = "Whoever asked is gone";
		return TRUE;
	}
	return FALSE;
}

/* The command line to run on another node: all but the users. */
static const char *const *
recall_users_proxy_args(const struct recall_users_context *ctx)
{
	static const char *const user_params[] = {
		RECALL_PARAM_ALL_USERS, "socket-path", RECALL_PARAM_USER,
		RECALL_PARAM_USERS, RECALL_PARAM_USER_FILE, RECALL_PARAM_JOBS,
		RECALL_PARAM_MAX_RATE, RECALL_PARAM_PRIORITY, NULL
	};
	const struct doveadm_cmd_context *cctx = ctx->cctx;
	const bool single_user = array_is_empty(&ctx->masks) &&
		array_count(&ctx->names) == 1;
	pool_t pool = ctx->pool;
	ARRAY_TYPE(const_string) args, positional;
	const char *arg, *value;
	int i;

	p_array_init(&args, pool, 16);
	t_array_init(&positional, 8);
	for (i = 0; i < cctx->argc; i++) {
		const struct doveadm_cmd_param *param = &cctx->argv[i];

		if (!param->value_set ||
		    str_array_find(user_params, param->name))
			continue;
		/* who asked for the report gets one, of all users */
		if (strcmp(param->name, RECALL_PARAM_REPORT_TO) == 0)
			continue;
		/* what several users have together is nobody's count */
		if (!single_user &&
		    strcmp(param->name, RECALL_PARAM_YES_COUNT) == 0)
			continue;
		if (strcmp(param->name, RECALL_PARAM_QUERY) == 0 &&
		    !doveadm_cmd_param_str(cctx, RECALL_PARAM_MESSAGE_ID,
					   &value)) {
			/* over HTTP a query needs no introduction */
			value = RECALL_PARAM_QUERY;
			array_push_back(&positional, &value);
		}
		if ((param->flags & CMD_PARAM_FLAG_POSITIONAL) != 0) {
			if (param->type == CMD_PARAM_ARRAY)
				array_append_array(&positional,
						   &param->value.v_array);
			else
				array_push_back(&positional,
						&param->value.v_string);
			continue;
		}
		switch (param->type) {
		case CMD_PARAM_BOOL:
			if (!param->value.v_bool)
				break;
			arg = p_strdup_printf(pool, "--%s", param->name);
			array_push_back(&args, &arg);
			break;
		case CMD_PARAM_INT64:
			arg = p_strdup_printf(pool, "--%s=%"PRId64, param->name,
					      param->value.v_int64);
			array_push_back(&args, &arg);
			break;
		case CMD_PARAM_STR:
			arg = p_strdup_printf(pool, "--%s=%s", param->name,
					      param->value.v_string);
			array_push_back(&args, &arg);
			break;
		case CMD_PARAM_ARRAY:
			array_foreach_elem(&param->value.v_array, value) {
				arg = p_strdup_printf(pool, "--%s=%s",
						      param->name, value);
				array_push_back(&args, &arg);
			}
			break;
		default:
			i_unreached();
		}
	}
	arg = ctx->callbacks->proxy_arg == NULL ? NULL :
		ctx->callbacks->proxy_arg(ctx->context);
	if (arg != NULL)
		array_push_back(&args, &arg);
	arg = "--";
	array_push_back(&args, &arg);
	array_append_array(&args, &positional);
	array_append_zero(&args);
	return array_front(&args);
}

const char *recall_username_get_error(const char *username)
{
	const char *p;

	if (*username == '\0')
		return "The user name is empty";
	if (strlen(username) > RECALL_ADDRESS_MAX)
		return "The user name is too long";
	if (!uni_utf8_str_is_valid(username))
		return "The user name is not valid UTF-8";
	for (p = username; *p != '\0'; p++) {
		if (*p == '*' || *p == '?')
			return "A mask is not a user name here";
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return "The user name has a control character";
	}
	/* within it, auth_username_chars decides */
	if (*username == ' ' || p[-1] == ' ')
		return "The user name begins or ends with white space";
	return NULL;
}

static int recall_users_read_file(struct recall_users_context *ctx,
				  struct istream *input)
{
	const char *line;

	/* over HTTP the stream has been read to its end already */
	i_stream_seek(input, 0);
	i_stream_set_max_buffer_size(input, RECALL_USER_FILE_LINE_MAX);
	/* the last line may lack its LF */
	i_stream_set_return_partial_line(input, TRUE);
	while ((line = i_stream_read_next_line(input)) != NULL) {
		line = t_str_trim(line, " \t\r");
		if (*line == '\0')
			continue;
		line = p_strdup(ctx->pool, line);
		array_push_back(&ctx->names, &line);
	}
	if (input->stream_errno != 0) {
		recall_cmd_error(ctx->cctx, EX_NOINPUT, "read(%s) failed: %s",
				 i_stream_get_name(input),
				 i_stream_get_error(input));
		return -1;
	}
	if (!input->eof) {
		recall_cmd_error(ctx->cctx, EX_DATAERR,
				 "read(%s) failed: A line is too long",
				 i_stream_get_name(input));
		return -1;
	}
	return 0;
}

static void recall_users_drop_duplicates(struct recall_users_context *ctx)
{
	HASH_TABLE(const char *, void *) seen;
	ARRAY_TYPE(const_string) names;
	const char *name;

	hash_table_create(&seen, default_pool, 0, str_hash, strcmp);
	p_array_init(&names, ctx->pool, array_count(&ctx->names));
	array_foreach_elem(&ctx->names, name) {
		if (hash_table_lookup(seen, name) != NULL)
			continue;
		hash_table_insert(seen, name, POINTER_CAST(1));
		array_push_back(&names, &name);
	}
	hash_table_destroy(&seen);
	ctx->names = names;
}

static bool recall_user_is_mask(const char *user)
{
	return strpbrk(user, "*?") != NULL;
}

static int recall_users_get(struct recall_users_context *ctx)
{
	struct doveadm_cmd_context *cctx = ctx->cctx;
	static const char *const all_mask = "*";
	const char *const *users, *const *unused;
	struct istream *input;
	bool all = FALSE, have_user, have_users, have_file;

	p_array_init(&ctx->names, ctx->pool, 16);
	p_array_init(&ctx->masks, ctx->pool, 1);
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP &&
	    !doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS, &users)) {
		/* another node's doveadm asks for one user at a time */
		array_push_back(&ctx->names, &cctx->username);
		return 0;
	}
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		/* a doveadm that shares its users out; see recall_jobs */
		for (; *users != NULL; users++)
			array_push_back(&ctx->names, users);
		return 0;
	}

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, &all);
	have_user = recall_cmd_param_user(cctx, &users);
	have_users = doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS,
					     have_user ? &unused : &users);
	have_file = doveadm_cmd_param_istream(cctx, RECALL_PARAM_USER_FILE,
					      &input);
	if ((all ? 1 : 0) + (have_user ? 1 : 0) + (have_users ? 1 : 0) +
	    (have_file ? 1 : 0) != 1) {
		recall_cmd_error(cctx, EX_USAGE,
				 "Say for which users in exactly one way: "
				 "-u, --users, -F or -A");
		return -1;
	}

	if (all) {
		array_push_back(&ctx->masks, &all_mask);
		return 0;
	}
	if (have_file) {
		if (recall_users_read_file(ctx, input) < 0)
			return -1;
	} else {
		for (; *users != NULL; users++) {
			if (have_user && recall_user_is_mask(*users))
				array_push_back(&ctx->masks, users);
			else
				array_push_back(&ctx->names, users);
		}
	}
	recall_users_drop_duplicates(ctx);
	return 0;
}

/* The other node prints the rows. */
static void recall_users_proxied(void *context, const char *username)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->proxied != NULL)
		ctx->callbacks->proxied(ctx->context, username);
}

static void
recall_users_lost(void *context, const char *username, const char *error)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->lost != NULL)
		ctx->callbacks->lost(ctx->context, username, error);
	else
		ctx->callbacks->failed(ctx->context, username, error);
}

static bool recall_users_done(struct recall_users_context *ctx)
{
	return ctx->callbacks->done != NULL &&
		ctx->callbacks->done(ctx->context);
}

/* Whether the mailbox has been looked at by another name of the user. That one
   has been answered for; this one needs an answer, too, if it was asked for by
   name. */
static bool
recall_users_repeat(struct recall_users_context *ctx, const char *username,
		    const char *mailbox_user, bool named)
{
	if (hash_table_lookup(ctx->done, mailbox_user) == NULL)
		return FALSE;
	if (!named)
		return TRUE;
	if (ctx->callbacks->repeat == NULL)
		return FALSE;
	ctx->callbacks->repeat(ctx->context, username, mailbox_user);
	return TRUE;
}

static void
recall_users_run_mailbox(struct recall_users_context *ctx,
			 struct mail_user *user, const char *username)
{
	const char *mailbox_user = p_strdup(ctx->done_pool, user->username);

	hash_table_update(ctx->done, mailbox_user,
			  p_strdup(ctx->done_pool, username));
	ctx->callbacks->run(ctx->context, user, username);
}

static void
recall_users_get_input(const struct recall_users_context *ctx,
		       const char *username,
		       struct mail_storage_service_input *input_r)
{
	i_zero(input_r);
	input_r->service = "doveadm";
	input_r->username = username;
	input_r->local_ip = ctx->cctx->local_ip;
	input_r->local_port = ctx->cctx->local_port;
	input_r->remote_ip = ctx->cctx->remote_ip;
	input_r->remote_port = ctx->cctx->remote_port;
}

/* Waits until it is the next user's turn, or somebody has had enough. */
static void recall_users_pace(void *context)
{
	struct recall_users_context *ctx = context;
	struct timespec ts;
	uint64_t usecs;

	if (ctx->sweep.pace.rate == 0)
		return;
	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		i_fatal("clock_gettime() failed: %m");
	usecs = recall_pace_take(&ctx->sweep.pace,
		(uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	ts.tv_sec = usecs / 1000000;
	ts.tv_nsec = usecs % 1000000 * 1000;
	while (killed_signo == 0 && nanosleep(&ts, &ts) < 0 && errno == EINTR) ;
}

/* The user is to be dealt with by this process. */
static void
recall_users_run_here(struct recall_users_context *ctx,
		      const struct mail_storage_service_input *input,
		      bool named)
{
	struct mail_storage_service_user *service_user;
	struct mail_user *user;
	const char *error, *mailbox_user, *username = input->username;
	int ret;

	recall_users_pace(ctx);
	recall_proxy_settle(ctx->proxy);
	ret = mail_storage_service_lookup(ctx->service, input, &service_user,
					  &error);
	if (ret == 0) {
		ctx->callbacks->no_user(ctx->context, username,
					RECALL_ERROR_NO_USER);
		return;
	}
	if (ret < 0) {
		ctx->callbacks->failed(ctx->context, username, t_strdup_printf(
			"User lookup failed: %s", error));
		return;
	}

	/* the userdb may have named another user: then this is an alias */
	mailbox_user =
		mail_storage_service_user_get_input(service_user)->username;
	if (recall_users_repeat(ctx, username, mailbox_user, named)) {
		/* answered */
	} else if (mail_storage_service_next(ctx->service, service_user, &user,
					     &error) < 0) {
		ctx->callbacks->failed(ctx->context, username, t_strdup_printf(
			"User initialization failed: %s", error));
	} else {
		if (recall_settings_init_user(user, &error) < 0)
			ctx->callbacks->failed(ctx->context, username, error);
		else
			recall_users_run_mailbox(ctx, user, username);
		mail_user_deinit(&user);
	}
	mail_storage_service_user_unref(&service_user);
}

/* named: the user is one asked for by name. */
static void
recall_users_run_one(struct recall_users_context *ctx, const char *username,
		     bool named)
{
	struct mail_storage_service_input input;
	const char *error;
	int ret;

	recall_proxy_settle(ctx->proxy);
	error = recall_username_get_error(username);
	if (error != NULL) {
		if (ctx->jobs != NULL)
			recall_jobs_add(ctx->jobs, username);
		else
			ctx->callbacks->no_user(ctx->context, username, error);
		return;
	}
	if (recall_users_killed(&error)) {
		ctx->callbacks->failed(ctx->context, username, error);
		return;
	}

	recall_users_get_input(ctx, username, &input);
	ctx->cctx->username = username;
	ret = recall_proxy_user(ctx->proxy, &input, &error);
	if (ret == 0 && ctx->jobs != NULL) {
		recall_jobs_add(ctx->jobs, username);
	} else if (ret == 0) {
		recall_users_run_here(ctx, &input, named);
	} else if (ret < 0) {
		recall_proxy_settle(ctx->proxy);
		ctx->callbacks->failed(ctx->context, username, t_strdup_printf(
			"User lookup failed: %s", error));
	}
}

/* There are no other processes for the user. */
static void recall_users_job_run(void *context, const char *username)
{
	struct recall_users_context *ctx = context;
	struct mail_storage_service_input input;
	const char *error = recall_username_get_error(username);

	if (error != NULL) {
		ctx->callbacks->no_user(ctx->context, username, error);
	} else if (recall_users_killed(&error)) {
		ctx->callbacks->failed(ctx->context, username, error);
	} else {
		recall_users_get_input(ctx, username, &input);
		ctx->cctx->username = username;
		recall_users_run_here(ctx, &input,
				      ctx->naming);
	}
}

/* Whose mailbox a row is of, or NULL if it does not tell. */
static const char *recall_users_row_mailbox(const char *const *columns)
{
	unsigned int idx = recall_print_find(RECALL_COLUMN_MAILBOX_USER);

	return idx == recall_print_get_count() || *columns[idx] == '\0' ?
		NULL : columns[idx];
}

/* Processes don't know what the others have looked at: of the rows of one
   mailbox the one that tells what was done counts for all of its names. */
static void
recall_users_job_preview(void *context, const char *const *columns)
{
	struct recall_users_context *ctx = context;
	const char *mailbox_user = recall_users_row_mailbox(columns);
	const char *const *other;

	if (mailbox_user == NULL || ctx->callbacks->is_better == NULL)
		return;
	other = hash_table_lookup(ctx->rows, mailbox_user);
	if (other == NULL || ctx->callbacks->is_better(other, columns))
		hash_table_update(ctx->rows, mailbox_user, columns);
}

/* Returns the columns to be printed for this name, or NULL if the mailbox has
   been answered for by another one, and that will do. */
static const char *const *
recall_users_job_choose(struct recall_users_context *ctx, const char *username,
			const char *const *columns)
{
	const char *mailbox_user = recall_users_row_mailbox(columns);
	const char *name;
	const char *const *best;

	if (mailbox_user == NULL)
		return columns;
	if (ctx->naming) {
		best = hash_table_lookup(ctx->rows, mailbox_user);
		return best == NULL ? columns : best;
	}
	name = hash_table_lookup(ctx->done, mailbox_user);
	if (name == NULL) {
		mailbox_user = p_strdup(ctx->done_pool, mailbox_user);
		hash_table_insert(ctx->done, mailbox_user,
				  p_strdup(ctx->done_pool, username));
	}
	return name == NULL || strcmp(name, username) == 0 ? columns : NULL;
}

static void
recall_users_job_row(void *context, const char *username,
		     const char *const *columns)
{
	struct recall_users_context *ctx = context;
	unsigned int i, count = recall_print_get_count();

	columns = recall_users_job_choose(ctx, username, columns);
	if (columns == NULL)
		return;
	recall_proxy_settle(ctx->proxy);
	if (ctx->callbacks->row != NULL) {
		ctx->callbacks->row(ctx->context, username, columns);
		return;
	}
	for (i = 0; i < count; i++) {
		recall_print(i == recall_print_get_username_idx() ? username :
			     columns[i]);
	}
}

static void recall_users_job_passed(void *context, const char *username)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->passed != NULL)
		ctx->callbacks->passed(ctx->context, username);
}

static void
recall_users_job_lost(void *context, const char *username, const char *error)
{
	struct recall_users_context *ctx = context;

	recall_proxy_settle(ctx->proxy);
	recall_users_lost(ctx, username, error);
}

static void
recall_users_init_jobs(struct recall_users_context *ctx, bool hits)
{
	const struct recall_jobs_callbacks callbacks = {
		.row = recall_users_job_row,
		.passed = recall_users_job_passed,
		.lost = recall_users_job_lost,
		.run = recall_users_job_run,
		.pace = recall_users_pace,
		.killed = recall_users_killed,
		.preview = recall_users_job_preview,
		.all_have_rows = ctx->callbacks->one_row && !hits,
	};

	if (ctx->callbacks->may_spread == NULL ||
	    !ctx->callbacks->may_spread(ctx->context))
		return;
	ctx->jobs = recall_jobs_init(ctx->cctx, ctx->service, ctx->proxy,
				     &ctx->sweep, &callbacks, ctx);
}

/* Whether somebody was answered for already: by name, or for another mask. */
static bool
recall_users_was_asked(struct recall_users_context *ctx, const char *username,
		       unsigned int mask_idx)
{
	const char *name;
	unsigned int i;

	for (i = 0; i < mask_idx; i++) {
		if (wildcard_match_icase(username,
					 array_idx_elem(&ctx->masks, i)))
			return TRUE;
	}
	array_foreach_elem(&ctx->names, name) {
		if (strcmp(name, username) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Returns FALSE if not all users were reached. */
static bool
recall_users_iterate(struct recall_users_context *ctx, unsigned int mask_idx)
{
	struct mail_storage_service_ctx *service = ctx->service;
	const char *mask = array_idx_elem(&ctx->masks, mask_idx);
	const bool all = strcmp(mask, "*") == 0;
	const char *username;
	bool found = FALSE;
	int ret = 0;

	mail_storage_service_all_init_mask(service,
		all ? RECALL_ANY_USER_MASK : mask);
	while (killed_signo == 0 && !recall_users_done(ctx) &&
	       (ret = mail_storage_service_all_next(service, &username)) > 0) {
		/* the mask was only a hint to the userdb */
		if (!all && !wildcard_match_icase(username, mask))
			continue;
		found = TRUE;
		if (recall_users_was_asked(ctx, username, mask_idx))
			continue;
		T_BEGIN {
			recall_users_run_one(ctx, t_strdup(username), FALSE);
		} T_END;
	}
	if (killed_signo != 0) {
		recall_cmd_error(ctx->cctx, EX_TEMPFAIL,
			"Killed with signal %d: not all users were reached",
			killed_signo);
		return FALSE;
	}
	if (ret < 0) {
		recall_cmd_error(ctx->cctx, EX_TEMPFAIL,
			"Listing users failed: not all users were reached");
		return FALSE;
	}
	if (!found && !all) {
		recall_cmd_error(ctx->cctx, EX_NOUSER, "No user matches %s",
				 mask);
	}
	return TRUE;
}

static void recall_users_flush_jobs(struct recall_users_context *ctx)
{
	if (ctx->jobs == NULL)
		return;
	recall_jobs_flush(ctx->jobs);
	recall_jobs_begin(ctx->jobs, FALSE, FALSE);
	hash_table_clear(ctx->rows, FALSE);
}

static void recall_users_run_all(struct recall_users_context *ctx)
{
	const char *username;
	unsigned int i;

	hash_table_clear(ctx->done, FALSE);
	p_clear(ctx->done_pool);
	ctx->naming = recall_users_are_named(ctx->cctx);
	if (ctx->jobs != NULL) {
		recall_jobs_begin(ctx->jobs, ctx->naming,
				  ctx->callbacks->is_better != NULL);
	}
	array_foreach_elem(&ctx->names, username) T_BEGIN {
		if (!recall_users_done(ctx))
			recall_users_run_one(ctx, username, ctx->naming);
	} T_END;
	recall_users_flush_jobs(ctx);
	ctx->naming = FALSE;
	for (i = 0; i < array_count(&ctx->masks); i++) {
		if (recall_users_done(ctx) || !recall_users_iterate(ctx, i))
			break;
	}
	recall_users_flush_jobs(ctx);
}

bool recall_users_are_named(const struct doveadm_cmd_context *cctx)
{
	const char *const *users;
	bool all = FALSE;

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, &all);
	if (all)
		return FALSE;
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		return doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS,
					       &users);
	}
	if (!recall_cmd_param_user(cctx, &users))
		return TRUE;
	while (*users != NULL && recall_user_is_mask(*users))
		users++;
	return *users != NULL;
}

/* Reads the settings in the way that the lookup of a user will. Otherwise it's the
   listing of users that reads them, into memory that it frees at once. Lookups
   that find other settings in their cache by then, as after those of a report,
   look into that memory for what doveadm -o overrides. */
static void recall_users_read_settings(struct recall_users_context *ctx)
{
	const struct mail_storage_service_input input = {
		.service = "doveadm",
	};

	mail_storage_service_init_settings(ctx->service, &input);
}

/* The last user's privileges were taken on only for a time, but nobody gives
   them back: the next command in this process, if it is no mail command, would
   for instance not be allowed to look up another user. */
static void recall_users_regain_root(void)
{
	if (getuid() == 0 && geteuid() != 0 && seteuid(0) < 0)
		i_fatal("seteuid(0) failed: %m");
}

int recall_users_run(struct doveadm_cmd_context *cctx,
		     const struct recall_users_callbacks *callbacks,
		     void *context)
{
	struct recall_users_context ctx;
	const struct recall_proxy_callbacks proxy_callbacks = {
		.done = recall_users_proxied,
		.lost = recall_users_lost,
		.killed = recall_users_killed,
		.one_row = callbacks->one_row,
		.named = recall_users_are_named(cctx),
	};
	enum mail_storage_service_flags flags =
		MAIL_STORAGE_SERVICE_FLAG_USERDB_LOOKUP |
		MAIL_STORAGE_SERVICE_FLAG_TEMP_PRIV_DROP;
	struct recall_priority priority;
	const char *socket_path = NULL;
	bool hits = FALSE;
	int ret, exit_code;

	i_zero(&ctx);
	if (recall_sweep_parse(cctx, &ctx.sweep) < 0)
		return -1;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS, &hits);
	ctx.pool = pool_alloconly_create("recall users", 1024);
	ctx.cctx = cctx;
	ctx.callbacks = callbacks;
	ctx.context = context;
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
		flags |= MAIL_STORAGE_SERVICE_FLAG_NO_LOG_INIT;
	if (doveadm_debug)
		flags |= MAIL_STORAGE_SERVICE_FLAG_DEBUG;
	(void)doveadm_cmd_param_str(cctx, "socket-path", &socket_path);
	ret = recall_users_get(&ctx);
	if (ret == 0) {
		i_zero(&priority);
		if (ctx.sweep.low_priority)
			recall_priority_lower(&priority, doveadm_server);
		killed_signo = 0;
		recall_users_client =
			cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP ?
			doveadm_print_ostream : NULL;
		lib_signals_set_handler(SIGINT, 0, sig_die, NULL);
		lib_signals_set_handler(SIGTERM, 0, sig_die, NULL);

		ctx.service = recall_settings_init_service(flags);
		if (!array_is_empty(&ctx.masks))
			recall_users_read_settings(&ctx);
		ctx.done_pool = pool_alloconly_create("recall users done",
						      1024);
		hash_table_create(&ctx.done, ctx.pool, 0, str_hash, strcmp);
		ctx.proxy = recall_proxy_init(cctx, ctx.service, socket_path,
					      recall_users_proxy_args(&ctx),
					      &proxy_callbacks, &ctx);
		if (callbacks->begin != NULL)
			callbacks->begin(context, ctx.service);
		hash_table_create(&ctx.rows, ctx.pool, 0, str_hash, strcmp);
		recall_users_init_jobs(&ctx, hits);
		do {
			recall_users_run_all(&ctx);
			recall_proxy_flush(ctx.proxy);
		} while (killed_signo == 0 && callbacks->again != NULL &&
			 callbacks->again(context));
		if (ctx.jobs != NULL)
			recall_jobs_deinit(&ctx.jobs);
		exit_code = recall_proxy_deinit(&ctx.proxy);
		if (exit_code != 0)
			doveadm_exit_code = exit_code;
		hash_table_destroy(&ctx.done);
		hash_table_destroy(&ctx.rows);
		pool_unref(&ctx.done_pool);
		i_set_failure_prefix("doveadm: ");
		recall_users_regain_root();
		recall_priority_restore(&priority);
		lib_signals_unset_handler(SIGINT, sig_die, NULL);
		lib_signals_unset_handler(SIGTERM, sig_die, NULL);
	}
	recall_print_finish();
	doveadm_print_flush();
	/* this unloads mail plugins: last */
	if (ctx.service != NULL)
		mail_storage_service_deinit(&ctx.service);
	pool_unref(&ctx.pool);
	return ret;
}
