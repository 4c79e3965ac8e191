#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "doveadm.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-users-private.h"

/* Users of a node whom one command asks it for. What a command costs is that of
   some ten, and a node that fails has them asked for one by one. */
#define USERS_BATCH_MAX 128
/* Parts of a second's users that --max-rate lets them be. */
#define USERS_RATE_PARTS 4

/* The command line to run on another node: all but the users. */
static const char *const *
users_proxy_get_args(const struct recall_users_context *ctx)
{
	static const char *const user_params[] = {
		RECALL_PARAM_ALL_USERS, "socket-path", RECALL_PARAM_USER,
		RECALL_PARAM_USERS, RECALL_PARAM_USER_FILE, RECALL_PARAM_JOBS,
		RECALL_PARAM_NODE_USERS, RECALL_PARAM_MAX_RATE,
		RECALL_PARAM_PRIORITY, NULL
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

static void
users_proxy_add_args(void *context, const char *const *users,
		     ARRAY_TYPE(const_string) *args)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->proxy_args != NULL)
		ctx->callbacks->proxy_args(ctx->context, users, args);
}

static int
users_proxy_node(void *context, const char *node, const char **error_r)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->node == NULL)
		return 0;
	/* the last user of this node has left theirs */
	recall_cmd_regain_root();
	return ctx->callbacks->node(ctx->context, node, error_r);
}

/* The other node prints the rows. */
static void users_proxied(void *context, const char *username)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->proxied != NULL)
		ctx->callbacks->proxied(ctx->context, username);
}

static bool users_want_row(void *context)
{
	struct recall_users_context *ctx = context;

	return ctx->callbacks->wants_row == NULL ||
		ctx->callbacks->wants_row(ctx->context);
}

static void users_row_printed(void *context, bool mail)
{
	struct recall_users_context *ctx = context;

	if (ctx->callbacks->row_printed != NULL)
		ctx->callbacks->row_printed(ctx->context, mail);
}

/* Says how nodes are asked for several of their users at once. */
static void users_proxy_set_batch(struct recall_users_context *ctx)
{
	struct recall_proxy_callbacks *callbacks = &ctx->proxy_callbacks;
	bool (*may_batch)(void *context) = ctx->callbacks->may_batch;

	if (may_batch == NULL)
		may_batch = ctx->callbacks->may_spread;
	if (may_batch == NULL || !may_batch(ctx->context))
		return;
	callbacks->batch_max = USERS_BATCH_MAX;
	if (ctx->sweep.pace.rate > 0) {
		/* not all of a second's users at once */
		callbacks->batch_max = I_MIN(USERS_BATCH_MAX,
			ctx->sweep.pace.rate / USERS_RATE_PARTS);
	}
	ctx->batch_args[0] = ctx->sweep.low_priority ?
		"--"RECALL_PARAM_PRIORITY"="RECALL_PRIORITY_LOW :
		"--"RECALL_PARAM_PRIORITY"="RECALL_PRIORITY_NORMAL;
	callbacks->batch_args = ctx->batch_args;
}

void recall_users_proxy_init(struct recall_users_context *ctx,
			     const char *socket_path, bool local, bool hits)
{
	struct recall_proxy_callbacks *callbacks = &ctx->proxy_callbacks;

	callbacks->add_args = users_proxy_add_args;
	callbacks->done = users_proxied;
	callbacks->lost = recall_users_lost;
	callbacks->wants_row = users_want_row;
	callbacks->row_printed = users_row_printed;
	callbacks->killed = recall_users_killed;
	callbacks->pace = recall_users_take_turn;
	callbacks->one_row = ctx->callbacks->one_row;
	callbacks->all_have_rows = ctx->callbacks->one_row && !hits;
	callbacks->named = recall_users_have_names(ctx->cctx);
	callbacks->local = local;
	callbacks->node = users_proxy_node;
	callbacks->regain_root = recall_cmd_regain_root;
	users_proxy_set_batch(ctx);
	ctx->proxy = recall_proxy_init(ctx->cctx, ctx->rows, ctx->service,
				       socket_path, users_proxy_get_args(ctx),
				       callbacks, ctx);
}
