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
/* What some editors begin a file in UTF-8 with. */
#define RECALL_USER_FILE_BOM "\xEF\xBB\xBF"

static int recall_users_read_file(struct recall_users_context *ctx,
				  struct istream *input)
{
	const char *line;

	/* over HTTP the stream has been read to its end already */
	i_stream_seek(input, 0);
	i_stream_set_max_buffer_size(input, RECALL_USER_FILE_LINE_MAX);
	/* the last line may lack its LF */
	i_stream_set_return_partial_line(input, TRUE);
	while ((line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		if (array_is_empty(&ctx->names) &&
		    str_begins_with(line, RECALL_USER_FILE_BOM))
			line += strlen(RECALL_USER_FILE_BOM);
		line = t_str_trim(line, " \t\r");
		if (*line != '\0') {
			line = p_strdup(ctx->pool, line);
			array_push_back(&ctx->names, &line);
		}
	} T_END;
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

bool recall_users_are_of_node(const struct doveadm_cmd_context *cctx)
{
	const char *const *users;

	return cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP &&
		doveadm_cmd_param_array(cctx, RECALL_PARAM_NODE_USERS, &users);
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
		users = recall_users_get_names(cctx);
		for (; *users != NULL; users++)
			array_push_back(&ctx->names, users);
		return 0;
	}
	if (doveadm_cmd_param_array(cctx, RECALL_PARAM_NODE_USERS, &unused)) {
		recall_rows_error(ctx->rows, EX_USAGE,
				  "--"RECALL_PARAM_NODE_USERS" is for nodes");
		return -1;
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

	if (recall_users_are_of_node(cctx)) {
		(void)doveadm_cmd_param_array(cctx, RECALL_PARAM_NODE_USERS,
					      &users);
		return users;
	}
	if (cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP) {
		/* whom other nodes ask for one at a time */
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

bool recall_users_have_names(const struct doveadm_cmd_context *cctx)
{
	/* another doveadm that asks chooses among the answers itself */
	return cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP ||
		recall_users_are_named(cctx);
}
