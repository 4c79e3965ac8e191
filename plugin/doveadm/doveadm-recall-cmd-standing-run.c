#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-copies.h"
#include "recall-late.h"
#include "recall-order.h"
#include "recall-params.h"
#include "recall-standing.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-standing.h"
#include "doveadm-recall-users.h"

#include <time.h>

static const struct recall_column run_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_RECALL_ID },
	{ .name = RECALL_COLUMN_STATUS },
	{ .name = RECALL_COLUMN_COPIES,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY |
		RECALL_COLUMN_FLAG_NUMBER },
	{ .name = RECALL_COLUMN_MAILBOXES },
	{ .name = RECALL_COLUMN_ERROR },
};

struct standing_run {
	pool_t pool;
	struct recall_rows *rows;
	ARRAY_TYPE(recall_standing_order) orders;
};

static void
run_order(struct standing_run *run, struct mail_user *user,
	  const struct recall_standing_order *order)
{
	struct recall_outcome outcome;
	struct recall_copies copies;

	if (!recall_late(user, order, FALSE, &copies, &outcome))
		return;
	if (copies.expunged > 0 || outcome.verdict == RECALL_VERDICT_ERROR) {
		if (outcome.verdict == RECALL_VERDICT_ERROR)
			recall_rows_set_exit_code(run->rows, EX_TEMPFAIL);
		recall_rows_add(run->rows, user->username);
		recall_rows_add(run->rows, order->recall_id);
		recall_rows_add(run->rows,
				recall_verdict_name(outcome.verdict));
		recall_rows_add(run->rows, dec2str(copies.expunged));
		recall_rows_add(run->rows, outcome.mailboxes);
		recall_rows_add(run->rows, outcome.error);
	}
	recall_copies_free(&copies);
}

static void cmd_standing_run_user(void *context, struct mail_user *user,
				  const char *username ATTR_UNUSED)
{
	struct standing_run *run = context;
	const struct recall_standing_order *order;

	array_foreach(&run->orders, order) T_BEGIN {
		run_order(run, user, order);
	} T_END;
}

static void
cmd_standing_run_unseen(void *context, const char *username,
			enum recall_verdict verdict, const char *error)
{
	struct standing_run *run = context;

	/* whoever does not exist gets no mail */
	if (verdict == RECALL_VERDICT_NO_USER)
		return;
	recall_rows_set_exit_code(run->rows, EX_TEMPFAIL);
	recall_rows_add_known(run->rows, RECALL_COLUMN_USERNAME, username,
		RECALL_COLUMN_STATUS, recall_verdict_name(verdict),
		RECALL_COLUMN_ERROR, error, NULL);
}

static const struct recall_users_callbacks run_callbacks = {
	.run = cmd_standing_run_user,
	.unseen = cmd_standing_run_unseen,
};

/* All for whom some order is. */
static const char *const *run_get_users(struct standing_run *run)
{
	static const char *const everyone[] = { "*", NULL };
	const struct recall_standing_order *order;
	ARRAY_TYPE(const_string) users;

	p_array_init(&users, run->pool, 16);
	array_foreach(&run->orders, order) {
		if (order->users == NULL)
			return everyone;
		array_append(&users, order->users,
			     str_array_length(order->users));
	}
	array_append_zero(&users);
	return array_front(&users);
}

/* Forgets all but the one that is asked for. */
static void run_keep(struct standing_run *run, const char *recall_id)
{
	const struct recall_standing_order *order;
	unsigned int i = array_count(&run->orders);

	while (i-- > 0) {
		order = array_idx(&run->orders, i);
		if (strcmp(order->recall_id, recall_id) != 0)
			array_delete(&run->orders, i, 1);
	}
}

static void
standing_run(struct doveadm_cmd_context *cctx, struct standing_run *run,
	     const struct recall_standing_settings *set, const char *recall_id)
{
	const char *error;

	/* what has expired must not be carried out once more */
	if (recall_standing_expire(set->dir, time(NULL), &error) < 0)
		recall_rows_error(run->rows, EX_TEMPFAIL, "%s", error);
	if (recall_standing_list(set->dir, run->pool, &run->orders,
				 &error) < 0)
		recall_rows_error(run->rows, EX_TEMPFAIL, "%s", error);
	if (recall_id != NULL)
		run_keep(run, recall_id);
	recall_users_run_local(cctx, run->rows, run_get_users(run),
			       &run_callbacks, run);
}

static void cmd_recall_standing_run(struct doveadm_cmd_context *cctx)
{
	struct recall_standing_settings set;
	struct recall_request request;
	struct standing_run run;

	if (recall_request_parse_id(cctx, &request) < 0)
		return;
	i_zero(&run);
	run.pool = pool_alloconly_create("recall standing run", 4096);
	if (recall_standing_get_settings(cctx, NULL, run.pool, &set) == 0) {
		p_array_init(&run.orders, run.pool, 16);
		run.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
					    run_columns,
					    N_ELEMENTS(run_columns));
		standing_run(cctx, &run, &set, request.order.may_be_retry ?
			     request.order.recall_id : NULL);
		recall_rows_deinit(&run.rows);
	}
	pool_unref(&run.pool);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_run = {
	.name = RECALL_CMD_STANDING_RUN,
	.cmd = cmd_recall_standing_run,
	.usage = "[<recall-id>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RECALL_ID, CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
