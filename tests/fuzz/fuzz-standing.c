/* Standing orders and their set, of whatever contents. The first octet says
   which file it is, and whether what was read of an order is written again, or
   the set is written of what is there as entries. */
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "guid.h"
#include "recall-standing.h"
#include "recall-standing-set.h"

#include <unistd.h>

#include "fuzz.h"

/* its name, a number and a size */
#define SET_HEADER 16
#define ID "0123456789abcdef0123456789abcdef"

static char *set_path, *order_path;

static void say_nothing(const struct failure_context *ctx ATTR_UNUSED,
			const char *format ATTR_UNUSED,
			va_list args ATTR_UNUSED)
{
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	i_set_error_handler(say_nothing);
	set_path = fuzz_path("set");
	order_path = fuzz_path(ID".order");
	return 0;
}

static void require_same_list(const char *const *a, const char *const *b)
{
	require((a == NULL) == (b == NULL));
	for (; a != NULL && *a != NULL; a++, b++)
		require(*b != NULL && strcmp(*a, *b) == 0);
	require(b == NULL || *b == NULL);
}

static int read_order(pool_t pool, struct recall_standing_order *order_r)
{
	const char *error = NULL;
	int ret;

	ret = recall_standing_read(fuzz_dir(), ID, pool, order_r, &error);
	require(ret != 0 && (ret < 0) == (error != NULL));
	if (ret < 0)
		return ret;
	/* one that has no limit must say so */
	require((order_r->message_id == NULL) != (order_r->query == NULL));
	require(order_r->users == NULL || order_r->users[0] != NULL);
	(void)recall_standing_is_for_user(order_r, "a@example.com");
	return ret;
}

/* What was read is read again when it is written. */
static void rewrite(pool_t pool, const struct recall_standing_order *order)
{
	struct recall_standing_order copy;
	const char *error;

	require(unlink(order_path) == 0);
	require(recall_standing_add(fuzz_dir(), order, 10, &error) == 1);
	require(read_order(pool, &copy) > 0);
	require(null_strcmp(order->message_id, copy.message_id) == 0);
	require_same_list(order->query, copy.query);
	require_same_list(order->senders, copy.senders);
	require_same_list(order->users, copy.users);
	require(null_strcmp(order->tenant, copy.tenant) == 0);
	require(null_strcmp(order->reason, copy.reason) == 0);
	require(null_strcmp(order->actor, copy.actor) == 0);
	require(order->force == copy.force && order->notify == copy.notify);
	require(order->created == copy.created);
	require(order->expires == copy.expires);
}

static void try_order(const uint8_t *data, size_t size, bool write)
{
	pool_t pool = pool_alloconly_create("order", 1024);
	struct recall_standing_order order;

	fuzz_write(order_path, data, size);
	if (read_order(pool, &order) > 0 && write)
		rewrite(pool, &order);
	pool_unref(&pool);
}

/* All of the file's orders that are of the hash are found, and no others. */
static void check_found(const struct recall_standing_set *set,
			const uint8_t *data, size_t size, uint64_t hash,
			time_t now)
{
	struct recall_standing_entry entry;
	buffer_t *ids = t_buffer_create(64), *expected = t_buffer_create(64);
	size_t pos;

	for (pos = SET_HEADER; pos + sizeof(entry) <= size;
	     pos += sizeof(entry)) {
		memcpy(&entry, data + pos, sizeof(entry));
		if (entry.hash == hash && entry.expires > (uint64_t)now)
			buffer_append(expected, entry.recall_id,
				      sizeof(entry.recall_id));
	}
	recall_standing_set_find(set, hash, now, ids);
	require(buffer_cmp(ids, expected));
}

static void check_set(const uint8_t *data, size_t size)
{
	struct recall_standing_set *set = recall_standing_set_init(fuzz_dir());
	struct recall_standing_entry entry;
	const char *error;
	size_t pos;

	if (recall_standing_set_refresh(set, &error) > 0) {
		check_found(set, data, size, 0, 1);
		check_found(set, data, size, UINT64_MAX, 1);
		for (pos = SET_HEADER; pos + sizeof(entry) <= size;
		     pos += sizeof(entry)) {
			memcpy(&entry, data + pos, sizeof(entry));
			check_found(set, data, size, entry.hash, 1);
			check_found(set, data, size, entry.hash + 1,
				    entry.expires / 2);
		}
	}
	recall_standing_set_deinit(&set);
}

/* What follows the header is entries in whatever order, of few hashes, each of
   a recall of its own: none of that comes by chance. */
static void write_set(uint8_t *data, size_t size)
{
	struct recall_standing_entry *entries =
		(void *)(data + SET_HEADER);
	unsigned int i, count = (size - SET_HEADER) / sizeof(*entries);
	const char *error;

	for (i = 0; i < count; i++) {
		entries[i].hash %= 4;
		entries[i].recall_id[0] = i;
	}
	require(recall_standing_set_write(fuzz_dir(), entries, count,
					  &error) == 0);
}

static void try_set(const uint8_t *data, size_t size, bool write)
{
	uint8_t *copy;

	if (write && size >= SET_HEADER) {
		copy = p_memdup(pool_datastack_create(), data, size);
		write_set(copy, size);
		check_set(copy, size);
	} else {
		fuzz_write(set_path, data, size);
		check_set(data, size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	T_BEGIN {
		if (data[0] % 2 == 1)
			try_set(data + 1, size - 1, data[0] % 4 == 3);
		else
			try_order(data + 1, size - 1, data[0] % 4 == 2);
	} T_END;
	return 0;
}
