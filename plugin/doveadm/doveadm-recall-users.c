#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "lib-signals.h"
#include "ostream-private.h"
#include "str.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "doveadm-settings.h"
#include "recall-had-mail.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-proxy.h"
#include "doveadm-recall-ahead.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-users-private.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* As the systemd unit of Dovecot has it for servers. */
#define USERS_FILES_MAX 65536

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

int recall_users_get_signal(void)
{
	return killed_signo;
}

bool recall_users_killed(const char **error_r)
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

void recall_users_failed(struct recall_users_context *ctx, const char *username,
			 const char *error)
{
	ctx->callbacks->unseen(ctx->context, username, RECALL_VERDICT_ERROR,
			       error);
}

void recall_users_lost(void *context, const char *username, const char *error)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->lost != NULL)
		ctx->callbacks->lost(ctx->context, username, error);
	else
		recall_users_failed(ctx, username, error);
}

bool recall_users_done(struct recall_users_context *ctx)
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

/* What a user has cost is read from three files in /proc for each one. The
   event mail_user_session_finished has the times of getrusage() then. */
static void recall_users_skip_statistics(struct mail_user *user)
{
	user->proc_stat.proc_io_failed = TRUE;
	user->proc_stat.proc_stat_failed = TRUE;
	user->proc_stat.proc_status_failed = TRUE;
}

/* Lines are as Dovecot would have them. It would also tell the log process of
   each user, for whom it wakes up: a tenth of what a user without the message
   costs, most of it the log process's. That is for the one line that a process
   can't write itself, by which it was killed; a panic names the user. */
static void recall_users_log_as(struct mail_storage_service_user *service_user,
				struct mail_user *user)
{
	const char *prefix =
		mail_storage_service_user_get_log_prefix(service_user);

	i_set_failure_prefix("%s", prefix);
	event_replace_log_prefix(user->event, prefix);
}

void recall_users_get_input(const struct recall_users_context *ctx,
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

uint64_t recall_users_take_turn(void *context)
{
	struct recall_users_context *ctx = context;

	return ctx->sweep.pace.rate == 0 ? 0 :
		recall_pace_take(&ctx->sweep.pace, recall_pace_now());
}

void recall_users_pace(void *context)
{
	const uint64_t usecs = recall_users_take_turn(context);
	struct timespec ts;

	if (usecs == 0)
		return;
	ts.tv_sec = usecs / 1000000;
	ts.tv_nsec = usecs % 1000000 * 1000;
	while (killed_signo == 0 && nanosleep(&ts, &ts) < 0 && errno == EINTR) ;
}

/* Whom the passdb does not know, as those who may not log in, it sends nowhere:
   that there is nothing here says nothing of the mail. */
static int
recall_users_check_place(struct recall_users_context *ctx,
			 struct mail_user *user, const char *username,
			 const char **error_r)
{
	if (hash_table_lookup(ctx->unplaced, username) == NULL ||
	    recall_had_mail(user))
		return 0;
	*error_r = "The passdb, which may know of other users on which node "
		"they are, does not know this one, and there has been no mail "
		"here";
	return -1;
}

void recall_users_run_here(struct recall_users_context *ctx,
			   const struct mail_storage_service_input *input,
			   bool named)
{
	struct mail_storage_service_input known = *input;
	struct mail_storage_service_user *service_user;
	struct mail_user *user;
	const char *error, *mailbox_user, *username = input->username;
	int ret;

	recall_users_pace(ctx);
	recall_proxy_finish_row(ctx->proxy);
	if (ctx->ahead != NULL)
		recall_ahead_take(ctx->ahead, &known);
	ret = mail_storage_service_lookup(ctx->service, &known, &service_user,
					  &error);
	/* root's privileges, which the lookup takes back, are the user's from
	   mail_storage_service_next() on */
	if (ctx->ahead != NULL && ret >= 0) {
		recall_ahead_ask(ctx->ahead,
			mail_storage_service_get_auth_conn(ctx->service), input,
			ctx->next, ctx->next_count);
	}
	if (ret == 0) {
		ctx->callbacks->unseen(ctx->context, username,
				       RECALL_VERDICT_NO_USER,
				       RECALL_ERROR_NO_USER);
		return;
	}
	if (ret < 0) {
		recall_users_failed(ctx, username, t_strdup_printf(
			"User lookup failed: %s", error));
		return;
	}

	recall_settings_number_accounts(service_user, &ctx->accounts);
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
		if (ctx->cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI)
			recall_users_log_as(service_user, user);
		if (recall_settings_init_user(user, &error) < 0 ||
		    recall_users_check_place(ctx, user, username, &error) < 0)
			recall_users_failed(ctx, username, error);
		else
			recall_users_run_mailbox(ctx, user, username);
		recall_users_skip_statistics(user);
		mail_user_deinit(&user);
	}
	mail_storage_service_user_unref(&service_user);
}

void recall_users_set_next(struct recall_users_context *ctx,
			   const char *const *users, unsigned int count)
{
	ctx->next = users;
	ctx->next_count = count;
}

void recall_users_run_one(struct recall_users_context *ctx,
			  const char *username, bool named)
{
	struct mail_storage_service_input input;
	const char *error;
	char *unplaced;
	bool unknown;
	int ret;

	recall_proxy_finish_row(ctx->proxy);
	error = recall_username_get_error(username);
	if (error != NULL && !named) {
		/* who is listed is there, whatever the name */
		recall_users_failed(ctx, username, t_strdup_printf(
			"Nobody can be asked for by this name: %s", error));
		return;
	}
	if (error != NULL) {
		if (ctx->jobs != NULL)
			recall_jobs_add(ctx->jobs, username);
		else
			ctx->callbacks->unseen(ctx->context, username,
				       RECALL_VERDICT_NO_USER, error);
		return;
	}
	if (recall_users_killed(&error)) {
		recall_users_failed(ctx, username, error);
		return;
	}

	recall_users_get_input(ctx, username, &input);
	ctx->cctx->username = username;
	ret = recall_proxy_user(ctx->proxy, &input, &unknown, &error);
	if (unknown) {
		unplaced = p_strdup(ctx->done_pool, username);
		hash_table_update(ctx->unplaced, unplaced, unplaced);
	}
	if (ret == 0 && ctx->jobs != NULL) {
		recall_jobs_add(ctx->jobs, username);
	} else if (ret == 0) {
		recall_users_run_here(ctx, &input, named);
	} else if (ret < 0) {
		recall_proxy_finish_row(ctx->proxy);
		recall_users_failed(ctx, username, t_strdup_printf(
			"User lookup failed: %s", error));
	}
}

static void recall_users_run_all(struct recall_users_context *ctx)
{
	const char *const *names;
	unsigned int i, count;

	hash_table_clear(ctx->done, FALSE);
	hash_table_clear(ctx->unplaced, FALSE);
	p_clear(ctx->done_pool);
	ctx->naming = recall_users_have_names(ctx->cctx);
	if (ctx->jobs != NULL) {
		recall_jobs_begin(ctx->jobs, ctx->naming,
				  ctx->callbacks->is_better != NULL);
	}
	names = array_get(&ctx->names, &count);
	for (i = 0; i < count; i++) T_BEGIN {
		recall_users_set_next(ctx, names + i + 1, count - i - 1);
		if (!recall_users_done(ctx))
			recall_users_run_one(ctx, names[i], ctx->naming);
	} T_END;
	recall_proxy_send(ctx->proxy);
	recall_users_jobs_flush(ctx);
	ctx->naming = FALSE;
	for (i = 0; i < array_count(&ctx->masks); i++) {
		if (recall_users_done(ctx) || !recall_users_iterate(ctx, i))
			break;
	}
	recall_proxy_send(ctx->proxy);
	recall_users_jobs_flush(ctx);
}

/* All that may be looked up, as recall_users_callbacks.begin() wants it. A name
   that is refused would say something else where masks are understood. */
static const char *const *recall_users_asked(struct recall_users_context *ctx)
{
	ARRAY_TYPE(const_string) users;
	const char *user;

	p_array_init(&users, ctx->pool, array_count(&ctx->names) + 4);
	array_foreach_elem(&ctx->masks, user) {
		if (strcmp(user, "*") == 0)
			return NULL;
		array_push_back(&users, &user);
	}
	array_foreach_elem(&ctx->names, user) {
		if (recall_username_get_error(user) == NULL)
			array_push_back(&users, &user);
	}
	array_append_zero(&users);
	return array_front(&users);
}

/* Reads the settings in the way that the lookup of a user will. Otherwise it's
   the listing of users that reads them, into memory that it frees at once.
   Lookups that find other settings in their cache by then, as after those of a
   report, look into that memory for what doveadm -o overrides. */
static void recall_users_read_settings(struct recall_users_context *ctx)
{
	const struct mail_storage_service_input input = {
		.service = "doveadm",
	};

	mail_storage_service_init_settings(ctx->service, &input);
}

/* Mailboxes with a copy are all open at once, each with some files, and a shell
   often lets its processes have no more than 1024. */
static void recall_users_allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur >= I_MIN(limit.rlim_max, USERS_FILES_MAX))
		return;
	limit.rlim_cur = I_MIN(limit.rlim_max, USERS_FILES_MAX);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		i_warning("setrlimit(RLIMIT_NOFILE) failed: %m");
}

/* users is NULL for those whom the command's parameters say. */
static int
recall_users_run_list(struct doveadm_cmd_context *cctx,
		      struct recall_rows *rows, const char *const *users,
		      const struct recall_users_callbacks *callbacks,
		      void *context)
{
	struct recall_users_context ctx;
	enum mail_storage_service_flags flags =
		MAIL_STORAGE_SERVICE_FLAG_USERDB_LOOKUP |
		MAIL_STORAGE_SERVICE_FLAG_TEMP_PRIV_DROP |
		MAIL_STORAGE_SERVICE_FLAG_NO_LOG_INIT;
	struct recall_priority priority;
	const char *socket_path = NULL;
	bool hits = FALSE;
	int ret;

	i_zero(&ctx);
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS, &hits);
	ctx.pool = pool_alloconly_create("recall users", 1024);
	ctx.cctx = cctx;
	ctx.rows = rows;
	ctx.callbacks = callbacks;
	ctx.context = context;
	if (doveadm_debug)
		flags |= MAIL_STORAGE_SERVICE_FLAG_DEBUG;
	(void)doveadm_cmd_param_str(cctx, "socket-path", &socket_path);
	ret = recall_sweep_parse(cctx, &ctx.sweep);
	if (users != NULL)
		recall_users_set(&ctx, users);
	else if (ret == 0)
		ret = recall_users_get(&ctx);
	if (ret == 0) {
		i_zero(&priority);
		if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
			recall_users_allow_files();
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
		hash_table_create(&ctx.unplaced, ctx.pool, 0, str_hash, strcmp);
		recall_users_proxy_init(&ctx, socket_path, users != NULL, hits);
		hash_table_create(&ctx.answers, ctx.pool, 0, str_hash, strcmp);
		if (callbacks->begin != NULL) {
			ret = callbacks->begin(context, ctx.service,
					       recall_users_asked(&ctx));
		}
		/* of those who come slowly, what is known ahead is old, and a
		   debug log is to have all of their lookups */
		if (ctx.sweep.pace.rate == 0 && !doveadm_debug)
			ctx.ahead = recall_ahead_init();
		recall_users_jobs_init(&ctx, hits);
		if (ret == 0) do {
			recall_users_run_all(&ctx);
			recall_proxy_flush(ctx.proxy);
			recall_cmd_regain_root();
		} while (killed_signo == 0 && callbacks->again != NULL &&
			 callbacks->again(context));
		if (ctx.jobs != NULL)
			recall_jobs_deinit(&ctx.jobs);
		if (ctx.ahead != NULL)
			recall_ahead_deinit(&ctx.ahead);
		recall_proxy_deinit(&ctx.proxy);
		hash_table_destroy(&ctx.done);
		hash_table_destroy(&ctx.unplaced);
		hash_table_destroy(&ctx.answers);
		pool_unref(&ctx.done_pool);
		i_set_failure_prefix("doveadm: ");
		recall_priority_restore(&priority);
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

int recall_users_run(struct doveadm_cmd_context *cctx,
		     struct recall_rows *rows,
		     const struct recall_users_callbacks *callbacks,
		     void *context)
{
	return recall_users_run_list(cctx, rows, NULL, callbacks, context);
}

void recall_users_run_local(struct doveadm_cmd_context *cctx,
			    struct recall_rows *rows,
			    const char *const *users,
			    const struct recall_users_callbacks *callbacks,
			    void *context)
{
	(void)recall_users_run_list(cctx, rows, users, callbacks, context);
}
