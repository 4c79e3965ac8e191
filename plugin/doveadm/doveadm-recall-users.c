#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "istream.h"
#include "lib-signals.h"
#include "str.h"
#include "unichar.h"
#include "wildcard-match.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-proxy.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-users.h"

#include <unistd.h>

/* A line of a user file that is longer than any address is not a user. */
#define RECALL_USER_FILE_LINE_MAX 8192

struct recall_users_context {
	pool_t pool;
	struct doveadm_cmd_context *cctx;
	struct mail_storage_service_ctx *service;
	struct recall_proxy *proxy;
	struct recall_rows *rows;
	const struct recall_users_callbacks *callbacks;
	void *context;

	ARRAY_TYPE(const_string) names;
	/* users come from the userdb's iteration: all, or who matches one */
	ARRAY_TYPE(const_string) masks;
	/* Users whose mailbox has been looked at in this pass */
	HASH_TABLE(const char *, void *) done;
	pool_t done_pool;
};

static int killed_signo;

static void sig_die(const siginfo_t *si, void *context ATTR_UNUSED)
{
	killed_signo = si->si_signo;
}

static bool recall_users_killed(const char **error_r)
{
	if (killed_signo == 0)
		return FALSE;
	*error_r = t_strdup_printf("Killed with signal %d", killed_signo);
	return TRUE;
}

/* The command line to run on another node: all but the users. */
static const char *const *
recall_users_proxy_args(const struct recall_users_context *ctx)
{
	static const char *const user_params[] = {
		RECALL_PARAM_ALL_USERS, "socket-path", RECALL_PARAM_USER,
		RECALL_PARAM_USERS, RECALL_PARAM_USER_FILE, NULL
	};
	const struct doveadm_cmd_context *cctx = ctx->cctx;
	const unsigned int user_count = !array_is_empty(&ctx->masks) ? 0 :
		array_count(&ctx->names);
	pool_t pool = ctx->pool;
	ARRAY_TYPE(const_string) args, positional;
	const char *arg, *value;
	bool introduced = TRUE;
	int i;

	p_array_init(&args, pool, 16);
	t_array_init(&positional, 8);
	for (i = 0; i < cctx->argc; i++) {
		const struct doveadm_cmd_param *param = &cctx->argv[i];

		const bool is_positional =
			(param->flags & CMD_PARAM_FLAG_POSITIONAL) != 0;

		if (!param->value_set) {
			if (is_positional)
				introduced = FALSE;
			continue;
		}
		if (str_array_find(user_params, param->name) ||
		    (ctx->callbacks->proxy_param != NULL &&
		     !ctx->callbacks->proxy_param(ctx->context, param->name,
						  user_count)))
			continue;
		if (is_positional) {
			/* over HTTP a query needs no introduction */
			if (!introduced)
				array_push_back(&positional, &param->name);
			introduced = TRUE;
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
		recall_rows_error(ctx->rows, EX_NOINPUT, "read(%s) failed: %s",
				 i_stream_get_name(input),
				 i_stream_get_error(input));
		return -1;
	}
	if (!input->eof) {
		recall_rows_error(ctx->rows, EX_DATAERR,
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
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		/* another doveadm asks for one user at a time */
		array_push_back(&ctx->names, &cctx->username);
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
		recall_rows_error(ctx->rows, EX_USAGE,
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

static void
recall_users_add_proxy_args(void *context, const char *username,
			    ARRAY_TYPE(const_string) *args)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->proxy_args != NULL)
		ctx->callbacks->proxy_args(ctx->context, username, args);
}

/* The other node prints the rows. */
static void recall_users_proxied(void *context, const char *username)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->proxied != NULL)
		ctx->callbacks->proxied(ctx->context, username);
}

static void
recall_users_failed(struct recall_users_context *ctx, const char *username,
		    const char *error)
{
	ctx->callbacks->unseen(ctx->context, username, RECALL_VERDICT_ERROR,
			       error);
}

static void
recall_users_lost(void *context, const char *username, const char *error)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->lost != NULL)
		ctx->callbacks->lost(ctx->context, username, error);
	else
		recall_users_failed(ctx, username, error);
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

	hash_table_update(ctx->done, mailbox_user, POINTER_CAST(1));
	ctx->callbacks->run(ctx->context, user, username);
}

/* What a user has cost is read from three files in /proc for each one. The event
   mail_user_session_finished has the times of getrusage() then. */
static void recall_users_skip_statistics(struct mail_user *user)
{
	user->proc_stat.proc_io_failed = TRUE;
	user->proc_stat.proc_stat_failed = TRUE;
	user->proc_stat.proc_status_failed = TRUE;
}

/* named: the user is one asked for by name. */
static void
recall_users_run_one(struct recall_users_context *ctx, const char *username,
		     bool named)
{
	struct mail_storage_service_input input;
	struct mail_storage_service_user *service_user;
	struct mail_user *user;
	const char *error, *mailbox_user;
	int ret;

	recall_proxy_settle(ctx->proxy);
	error = recall_username_get_error(username);
	if (error != NULL) {
		ctx->callbacks->unseen(ctx->context, username,
				       RECALL_VERDICT_NO_USER, error);
		return;
	}
	if (recall_users_killed(&error)) {
		recall_users_failed(ctx, username, error);
		return;
	}

	i_zero(&input);
	input.service = "doveadm";
	input.username = username;
	input.local_ip = ctx->cctx->local_ip;
	input.local_port = ctx->cctx->local_port;
	input.remote_ip = ctx->cctx->remote_ip;
	input.remote_port = ctx->cctx->remote_port;
	ctx->cctx->username = username;

	ret = recall_proxy_user(ctx->proxy, &input, &error);
	if (ret > 0)
		return;
	recall_proxy_settle(ctx->proxy);
	if (ret == 0) {
		ret = mail_storage_service_lookup(ctx->service, &input,
						  &service_user, &error);
		if (ret == 0) {
			ctx->callbacks->unseen(ctx->context, username,
					       RECALL_VERDICT_NO_USER,
					       RECALL_ERROR_NO_USER);
			return;
		}
	}
	if (ret < 0) {
		recall_users_failed(ctx, username, t_strdup_printf(
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
		recall_users_failed(ctx, username, t_strdup_printf(
			"User initialization failed: %s", error));
	} else {
		if (recall_settings_init_user(user, &error) < 0)
			recall_users_failed(ctx, username, error);
		else
			recall_users_run_mailbox(ctx, user, username);
		recall_users_skip_statistics(user);
		mail_user_deinit(&user);
	}
	mail_storage_service_user_unref(&service_user);
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
		recall_rows_error(ctx->rows, EX_TEMPFAIL,
			"Killed with signal %d: not all users were reached",
			killed_signo);
		return FALSE;
	}
	if (ret < 0) {
		recall_rows_error(ctx->rows, EX_TEMPFAIL,
			"Listing users failed: not all users were reached");
		return FALSE;
	}
	if (!found && !all) {
		recall_rows_error(ctx->rows, EX_NOUSER, "No user matches %s",
				 mask);
	}
	return TRUE;
}

static void recall_users_run_all(struct recall_users_context *ctx)
{
	const char *username;
	unsigned int i;

	hash_table_clear(ctx->done, FALSE);
	p_clear(ctx->done_pool);
	array_foreach_elem(&ctx->names, username) T_BEGIN {
		if (!recall_users_done(ctx))
			recall_users_run_one(ctx, username, TRUE);
	} T_END;
	for (i = 0; i < array_count(&ctx->masks); i++) {
		if (recall_users_done(ctx) || !recall_users_iterate(ctx, i))
			break;
	}
}

const char *const *
recall_users_get_names(const struct doveadm_cmd_context *cctx)
{
	const char *const *users, *const *user;
	const char **name;

	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		name = t_new(const char *, 2);
		name[0] = cctx->username;
		return name;
	}
	if (doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS, &users))
		return users;
	if (!doveadm_cmd_param_array(cctx, RECALL_PARAM_USER, &users))
		return NULL;
	for (user = users; *user != NULL; user++) {
		if (recall_user_is_mask(*user))
			return NULL;
	}
	return users;
}

bool recall_users_are_named(const struct doveadm_cmd_context *cctx)
{
	const char *const *users;
	bool all = FALSE;

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, &all);
	if (all || cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP)
		return FALSE;
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
		     struct recall_rows *rows,
		     const struct recall_users_callbacks *callbacks,
		     void *context)
{
	struct recall_users_context ctx;
	const struct recall_proxy_callbacks proxy_callbacks = {
		.add_args = recall_users_add_proxy_args,
		.done = recall_users_proxied,
		.lost = recall_users_lost,
		.killed = recall_users_killed,
		.one_row = callbacks->one_row,
		.named = recall_users_are_named(cctx),
	};
	enum mail_storage_service_flags flags =
		MAIL_STORAGE_SERVICE_FLAG_USERDB_LOOKUP |
		MAIL_STORAGE_SERVICE_FLAG_TEMP_PRIV_DROP;
	const char *socket_path = NULL;
	int ret;

	i_zero(&ctx);
	ctx.pool = pool_alloconly_create("recall users", 1024);
	ctx.cctx = cctx;
	ctx.rows = rows;
	ctx.callbacks = callbacks;
	ctx.context = context;
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
		flags |= MAIL_STORAGE_SERVICE_FLAG_NO_LOG_INIT;
	if (doveadm_debug)
		flags |= MAIL_STORAGE_SERVICE_FLAG_DEBUG;
	(void)doveadm_cmd_param_str(cctx, "socket-path", &socket_path);
	ret = recall_users_get(&ctx);
	if (ret == 0) {
		killed_signo = 0;
		lib_signals_set_handler(SIGINT, 0, sig_die, NULL);
		lib_signals_set_handler(SIGTERM, 0, sig_die, NULL);

		ctx.service = recall_settings_init_service(flags);
		if (!array_is_empty(&ctx.masks))
			recall_users_read_settings(&ctx);
		ctx.done_pool = pool_alloconly_create("recall users done",
						      1024);
		hash_table_create(&ctx.done, ctx.pool, 0, str_hash, strcmp);
		ctx.proxy = recall_proxy_init(cctx, rows, ctx.service,
					      socket_path,
					      recall_users_proxy_args(&ctx),
					      &proxy_callbacks, &ctx);
		if (callbacks->begin != NULL)
			callbacks->begin(context, ctx.service);
		do {
			recall_users_run_all(&ctx);
			recall_proxy_flush(ctx.proxy);
		} while (killed_signo == 0 && callbacks->again != NULL &&
			 callbacks->again(context));
		recall_proxy_deinit(&ctx.proxy);
		hash_table_destroy(&ctx.done);
		pool_unref(&ctx.done_pool);
		i_set_failure_prefix("doveadm: ");
		recall_users_regain_root();
		lib_signals_unset_handler(SIGINT, sig_die, NULL);
		lib_signals_unset_handler(SIGTERM, sig_die, NULL);
	}
	recall_rows_finish(rows);
	/* this unloads mail plugins: last */
	if (ctx.service != NULL)
		mail_storage_service_deinit(&ctx.service);
	pool_unref(&ctx.pool);
	return ret;
}
