#include "lib.h"
#include "array.h"
#include "str.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-batch.h"

struct recall_proxy_batch *
recall_proxy_batch_init(struct recall_rows *rows, const char *const *users,
			unsigned int count, const char *const *args)
{
	pool_t pool = pool_alloconly_create("recall proxy batch", 4096);
	struct recall_proxy_batch *batch =
		p_new(pool, struct recall_proxy_batch, 1);
	const char **copy = p_new(pool, const char *, count + 1);
	unsigned int i;

	for (i = 0; i < count; i++)
		copy[i] = p_strdup(pool, users[i]);
	batch->pool = pool;
	batch->rows = rows;
	batch->users = copy;
	batch->users_count = count;
	batch->args = args;
	batch->part = str_new(default_pool, 256);
	p_array_init(&batch->columns, pool, count);
	return batch;
}

void recall_proxy_batch_deinit(struct recall_proxy_batch **_batch)
{
	struct recall_proxy_batch *batch = *_batch;

	*_batch = NULL;
	str_free(&batch->part);
	pool_unref(&batch->pool);
}

void
recall_proxy_batch_tell(const struct recall_proxy_batch *batch,
			const struct recall_proxy_batch_callbacks *callbacks,
			void *context)
{
	const unsigned int width = recall_rows_get_count(batch->rows);
	const unsigned int name_idx =
		recall_rows_find(batch->rows, RECALL_COLUMN_USERNAME);
	const char *const *columns, *user;
	unsigned int i, count, row = 0;
	bool found, lost;

	columns = array_get(&batch->columns, &count);
	/* an incomplete row counts for nothing */
	count = count / width * width;
	for (i = 0; i < batch->users_count; i++) {
		user = batch->users[i];
		found = FALSE;
		while (row < count &&
		       strcmp(columns[row + name_idx], user) == 0) {
			callbacks->row(context, user, &columns[row]);
			row += width;
			found = TRUE;
		}
		/* they are looked at one after the other: whose rows are the
		   last ones may have had more */
		lost = row == count && batch->error != NULL;
		if (found && (!lost || callbacks->one_row))
			continue;
		if (lost)
			callbacks->lost(context, user, batch->error);
		else if (callbacks->all_have_rows)
			callbacks->lost(context, user, "There is no answer");
		else
			callbacks->passed(context, user);
	}
}

void recall_proxy_batch_foreach(const struct recall_proxy_batch *batch,
				void (*callback)(void *context,
						 const char *const *columns),
				void *context)
{
	const unsigned int width = recall_rows_get_count(batch->rows);
	const char *const *columns;
	unsigned int i, count;

	columns = array_get(&batch->columns, &count);
	for (i = 0; i + width <= count; i += width)
		callback(context, &columns[i]);
}
