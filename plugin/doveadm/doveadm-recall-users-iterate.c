#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "hash.h"
#include "wildcard-match.h"
#include "doveadm.h"
#include "mail-storage-service.h"
#include "doveadm-recall-ahead.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-users-private.h"

struct users_iterate {
	struct recall_users_context *ctx;
	unsigned int mask_idx;
	const char *mask;
	/* the mask is everyone's */
	bool all;

	/* who is listed and has not been dealt with, few enough for it to
	   matter little that they are looked up later */
	ARRAY(char *) queue;
	/* as mail_storage_service_all_next() has it */
	int ret;
	bool found;
};

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

static bool users_iterate_killed(void)
{
	return recall_users_get_signal() != 0;
}

/* Lists one user more than auth can be asked about ahead, if there are so
   many. */
static void users_iterate_fill(struct users_iterate *iter)
{
	struct recall_users_context *ctx = iter->ctx;
	const char *username;
	char *copy;

	while (iter->ret > 0 && !users_iterate_killed() &&
	       array_count(&iter->queue) <= RECALL_AHEAD_USERS) {
		iter->ret = mail_storage_service_all_next(ctx->service,
							  &username);
		if (iter->ret <= 0)
			break;
		/* the mask was only a hint to the userdb */
		if (!iter->all && !wildcard_match_icase(username, iter->mask))
			continue;
		iter->found = TRUE;
		if (recall_users_was_asked(ctx, username, iter->mask_idx))
			continue;
		copy = i_strdup(username);
		array_push_back(&iter->queue, &copy);
	}
}

static void users_iterate_run(struct users_iterate *iter)
{
	struct recall_users_context *ctx = iter->ctx;
	char *const *users, *username;
	unsigned int count;

	while (!recall_users_done(ctx)) {
		users_iterate_fill(iter);
		if (users_iterate_killed() || array_is_empty(&iter->queue))
			break;
		username = array_idx_elem(&iter->queue, 0);
		array_pop_front(&iter->queue);
		users = array_get(&iter->queue, &count);
		recall_users_set_next(ctx, (const char *const *)users, count);
		T_BEGIN {
			recall_users_run_one(ctx, username, FALSE);
		} T_END;
		i_free(username);
	}
	recall_users_set_next(ctx, NULL, 0);
	array_foreach_elem(&iter->queue, username)
		i_free(username);
}

bool recall_users_iterate(struct recall_users_context *ctx,
			  unsigned int mask_idx)
{
	struct users_iterate iter = {
		.ctx = ctx,
		.mask_idx = mask_idx,
		.mask = array_idx_elem(&ctx->masks, mask_idx),
		.ret = 1,
	};

	iter.all = strcmp(iter.mask, "*") == 0;
	i_array_init(&iter.queue, RECALL_AHEAD_USERS + 1);
	mail_storage_service_all_init_mask(ctx->service,
		iter.all ? RECALL_ANY_USER_MASK : iter.mask);
	users_iterate_run(&iter);
	array_free(&iter.queue);
	if (users_iterate_killed()) {
		recall_rows_error(ctx->rows, EX_TEMPFAIL,
			"Killed with signal %d: not all users were reached",
			recall_users_get_signal());
		return FALSE;
	}
	if (iter.ret < 0) {
		recall_rows_error(ctx->rows, EX_TEMPFAIL,
			"Listing users failed: not all users were reached");
		return FALSE;
	}
	if (!iter.found && !iter.all) {
		recall_rows_error(ctx->rows, EX_NOUSER, "No user matches %s",
				  iter.mask);
	}
	return TRUE;
}
