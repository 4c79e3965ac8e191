#include "lib.h"
#include "dovecot-compat.h"
#include "hash.h"
#include "doveadm.h"
#include "mail-storage-service.h"
#include "recall-params.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-users-private.h"

static void
recall_users_job_run_one(struct recall_users_context *ctx, const char *username)
{
	struct mail_storage_service_input input;
	const char *error = recall_username_get_error(username);

	if (error != NULL) {
		ctx->callbacks->unseen(ctx->context, username,
				       RECALL_VERDICT_NO_USER, error);
	} else if (recall_users_killed(&error)) {
		recall_users_failed(ctx, username, error);
	} else {
		recall_users_get_input(ctx, username, &input);
		ctx->cctx->username = username;
		recall_users_run_here(ctx, &input, ctx->naming);
	}
}

/* There are no other processes for the users. */
static void
recall_users_job_run(void *context, const char *const *users,
		     unsigned int count)
{
	struct recall_users_context *ctx = context;
	unsigned int i;

	for (i = 0; i < count; i++) T_BEGIN {
		/* of a single one, whoever added it knows who is next */
		if (count > 1)
			recall_users_set_next(ctx, users + i + 1,
					      count - i - 1);
		recall_users_job_run_one(ctx, users[i]);
	} T_END;
}

/* Whose mailbox a row is of, or NULL if it does not say. */
static const char *
recall_users_row_mailbox(const struct recall_users_context *ctx,
			 const char *const *columns)
{
	unsigned int idx = recall_rows_find(ctx->rows,
					    RECALL_COLUMN_MAILBOX_USER);

	return idx == recall_rows_get_count(ctx->rows) ||
		*columns[idx] == '\0' ? NULL : columns[idx];
}

/* Returns a copy of the row, which outlives the batch that it came in. */
static const char *const *
recall_users_row_copy(struct recall_users_context *ctx,
		      const char *const *columns)
{
	unsigned int i, count = recall_rows_get_count(ctx->rows);
	const char **copy = p_new(ctx->done_pool, const char *, count);

	for (i = 0; i < count; i++)
		copy[i] = p_strdup(ctx->done_pool, columns[i]);
	return copy;
}

/* Processes don't know what the others have looked at: of the rows of one
   mailbox the one that says what was done counts for all of its names. */
static void
recall_users_job_preview(void *context, const char *const *columns)
{
	struct recall_users_context *ctx = context;
	const char *mailbox_user = recall_users_row_mailbox(ctx, columns);
	const char *const *other;

	if (mailbox_user == NULL || ctx->callbacks->is_better == NULL)
		return;
	other = hash_table_lookup(ctx->answers, mailbox_user);
	if (other == NULL ||
	    ctx->callbacks->is_better(ctx->context, other, columns)) {
		columns = recall_users_row_copy(ctx, columns);
		hash_table_update(ctx->answers,
				  recall_users_row_mailbox(ctx, columns),
				  columns);
	}
}

/* Returns the columns to be printed for this name, or NULL if the mailbox has
   been answered for by another one, and that will do. */
static const char *const *
recall_users_job_choose(struct recall_users_context *ctx, const char *username,
			const char *const *columns)
{
	const char *mailbox_user = recall_users_row_mailbox(ctx, columns);
	const char *name;
	const char *const *best;

	if (mailbox_user == NULL)
		return columns;
	if (ctx->naming) {
		best = hash_table_lookup(ctx->answers, mailbox_user);
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
	const unsigned int name_idx =
		recall_rows_find(ctx->rows, RECALL_COLUMN_USERNAME);
	unsigned int i, count = recall_rows_get_count(ctx->rows);

	columns = recall_users_job_choose(ctx, username, columns);
	if (columns == NULL)
		return;
	recall_proxy_finish_row(ctx->proxy);
	if (ctx->callbacks->row != NULL) {
		ctx->callbacks->row(ctx->context, username, columns);
		return;
	}
	for (i = 0; i < count; i++) {
		recall_rows_add(ctx->rows, i == name_idx ? username :
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

	recall_proxy_finish_row(ctx->proxy);
	recall_users_lost(ctx, username, error);
}

void recall_users_jobs_init(struct recall_users_context *ctx, bool hits)
{
	const struct recall_jobs_callbacks callbacks = {
		.row = recall_users_job_row,
		.passed = recall_users_job_passed,
		.lost = recall_users_job_lost,
		.run = recall_users_job_run,
		.pace = recall_users_pace,
		.killed = recall_users_killed,
		.preview = recall_users_job_preview,
		.one_row = ctx->callbacks->one_row,
		.all_have_rows = ctx->callbacks->one_row && !hits,
	};

	if (ctx->callbacks->may_spread == NULL ||
	    !ctx->callbacks->may_spread(ctx->context))
		return;
	ctx->jobs = recall_jobs_init(ctx->cctx, ctx->rows, ctx->service,
				     ctx->proxy, &ctx->sweep, &callbacks, ctx);
}

void recall_users_jobs_flush(struct recall_users_context *ctx)
{
	if (ctx->jobs == NULL)
		return;
	recall_jobs_flush(ctx->jobs);
	recall_jobs_begin(ctx->jobs, FALSE, FALSE);
	hash_table_clear(ctx->answers, FALSE);
}
