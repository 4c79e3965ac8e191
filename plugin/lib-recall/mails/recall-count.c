#include "lib.h"
#include "hash.h"
#include "recall-count.h"

struct recall_count {
	pool_t pool;
	unsigned int expected, total;
	/* username => number + 1 */
	HASH_TABLE(char *, void *) users;
};

struct recall_count *recall_count_init(unsigned int expected)
{
	struct recall_count *count;
	pool_t pool;

	pool = pool_alloconly_create("recall count", 1024);
	count = p_new(pool, struct recall_count, 1);
	count->pool = pool;
	count->expected = expected;
	hash_table_create(&count->users, pool, 0, str_hash, strcmp);
	return count;
}

void recall_count_deinit(struct recall_count **_count)
{
	struct recall_count *count = *_count;

	*_count = NULL;
	if (count == NULL)
		return;
	hash_table_destroy(&count->users);
	pool_unref(&count->pool);
}

void recall_count_add(struct recall_count *count, const char *username,
		      unsigned int messages)
{
	if (hash_table_lookup(count->users, username) != NULL)
		return;
	count->total += messages;
	hash_table_insert(count->users, p_strdup(count->pool, username),
			  POINTER_CAST((size_t)messages + 1));
}

bool recall_count_is_expected(const struct recall_count *count,
			      const char **error_r)
{
	if (count->total == count->expected)
		return TRUE;
	*error_r = t_strdup_printf("%u messages would be deleted, not %u: "
				   "nothing was done",
				   count->total, count->expected);
	return FALSE;
}

unsigned int recall_count_get(const struct recall_count *count,
			      const char *username)
{
	void *value = hash_table_lookup(count->users, username);

	return value == NULL ? 0 : POINTER_CAST_TO(value, size_t) - 1;
}
