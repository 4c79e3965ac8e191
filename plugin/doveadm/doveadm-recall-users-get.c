#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "istream.h"
#include "str.h"
#include "doveadm.h"
#include "recall-params.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-users-private.h"

/* A line of a user file that is longer than any address is not a user. */
#define RECALL_USER_FILE_LINE_MAX 8192

/* The command line to run on another node: all but the users. */
const char *const *
recall_users_proxy_args(const struct recall_users_context *ctx)
{
	static const char *const user_params[] = {
		RECALL_PARAM_ALL_USERS, "socket-path", RECALL_PARAM_USER,
		RECALL_PARAM_USERS, RECALL_PARAM_USER_FILE, RECALL_PARAM_JOBS,
		RECALL_PARAM_MAX_RATE, RECALL_PARAM_PRIORITY, NULL
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

bool recall_users_are_shared_out(const struct doveadm_cmd_context *cctx)
{
	const char *const *users;

	return cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP &&
		doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS, &users);
}

static void
recall_users_add(struct recall_users_context *ctx, const char *user)
{
	if (recall_username_is_mask(user))
		array_push_back(&ctx->masks, &user);
	else
		array_push_back(&ctx->names, &user);
}

void recall_users_set(struct recall_users_context *ctx,
		      const char *const *users)
{
	p_array_init(&ctx->names, ctx->pool, 16);
	p_array_init(&ctx->masks, ctx->pool, 1);
	for (; *users != NULL; users++)
		recall_users_add(ctx, *users);
	recall_users_drop_duplicates(ctx);
}

int recall_users_get(struct recall_users_context *ctx)
{
	struct doveadm_cmd_context *cctx = ctx->cctx;
	static const char *const all_mask = "*";
	const char *const *users, *const *unused;
	struct istream *input;
	bool all = FALSE, have_user, have_users, have_file;

	p_array_init(&ctx->names, ctx->pool, 16);
	p_array_init(&ctx->masks, ctx->pool, 1);
	if (recall_users_are_shared_out(cctx)) {
		(void)doveadm_cmd_param_array(cctx, RECALL_PARAM_USERS, &users);
		for (; *users != NULL; users++)
			array_push_back(&ctx->names, users);
		return 0;
	}
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		/* another node's doveadm asks for one user at a time */
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
			if (have_user)
				recall_users_add(ctx, *users);
			else
				array_push_back(&ctx->names, users);
		}
	}
	recall_users_drop_duplicates(ctx);
	return 0;
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
	if (!recall_cmd_param_user(cctx, &users))
		return NULL;
	for (user = users; *user != NULL; user++) {
		if (recall_username_is_mask(*user))
			return NULL;
	}
	return users;
}

bool recall_users_are_named(const struct doveadm_cmd_context *cctx)
{
	const char *const *users;
	bool all = FALSE;

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_ALL_USERS, &all);
	if (all)
		return FALSE;
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP)
		return recall_users_are_shared_out(cctx);
	if (!recall_cmd_param_user(cctx, &users))
		return TRUE;
	while (*users != NULL && recall_username_is_mask(*users))
		users++;
	return *users != NULL;
}
