#include "lib.h"
#include "array.h"
#include "file-lock.h"
#include "guid.h"
#include "failpoint.h"
#include "recall-id.h"
#include "recall-index.h"
#include "recall-message-id.h"
#include "recall-standing-file.h"
#include "recall-standing-late.h"
#include "recall-standing-nodes.h"
#include "recall-standing-set.h"
#include "recall-standing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPIRES_SLACK_SECS 5

/* Appends the recall ids of the directory's orders. One that does not exist has
   none. */
static int
standing_ids(const char *dir, ARRAY_TYPE(const_string) *ids,
	     const char **error_r)
{
	const char *id, *rest;
	struct dirent *d;
	DIR *dirp;

	dirp = opendir(dir);
	if (dirp == NULL) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("opendir(%s) failed: %m", dir);
		return -1;
	}
	for (errno = 0; (d = readdir(dirp)) != NULL; errno = 0) {
		rest = recall_id_skip(d->d_name);
		if (rest == NULL ||
		    strcmp(rest, RECALL_STANDING_ORDER_SUFFIX) != 0)
			continue;
		id = t_strdup_until(d->d_name, rest);
		array_push_back(ids, &id);
	}
	if (errno != 0) {
		*error_r = t_strdup_printf("readdir(%s) failed: %m", dir);
		(void)closedir(dirp);
		return -1;
	}
	if (closedir(dirp) < 0)
		i_error("closedir(%s) failed: %m", dir);
	return 0;
}

static int order_cmp(const struct recall_standing_order *o1,
		     const struct recall_standing_order *o2)
{
	if (o1->created != o2->created)
		return o1->created > o2->created ? -1 : 1;
	return strcmp(o1->recall_id, o2->recall_id);
}

int recall_standing_list(const char *dir, pool_t pool,
			 ARRAY_TYPE(recall_standing_order) *orders,
			 const char **error_r)
{
	struct recall_standing_order order;
	ARRAY_TYPE(const_string) ids;
	const char *const *idp, *error;
	int ret = 0, read_ret;

	t_array_init(&ids, 16);
	if (standing_ids(dir, &ids, error_r) < 0)
		return -1;
	array_foreach(&ids, idp) {
		read_ret = recall_standing_read(dir, *idp, pool, &order,
						&error);
		if (read_ret > 0) {
			array_push_back(orders, &order);
		} else if (read_ret < 0 && ret == 0) {
			*error_r = error;
			ret = -1;
		}
	}
	array_sort(orders, order_cmp);
	return ret;
}

static bool order_hash(const struct recall_standing_order *order,
		       uint64_t *hash_r)
{
	struct recall_message_id id;

	*hash_r = RECALL_STANDING_HASH_QUERY;
	if (order->message_id == NULL)
		return TRUE;
	if (recall_message_id_parse(order->message_id,
				    strlen(order->message_id), &id) !=
	    RECALL_MESSAGE_ID_OK)
		return FALSE;
	*hash_r = recall_index_hash(&id);
	return TRUE;
}

/* Makes the set from what is in the directory. An order that can't be read has
   no hash to be found by: that is logged, and the rest is there. */
static int standing_write_set(const char *dir, const char **error_r)
{
	ARRAY_TYPE(recall_standing_order) orders;
	ARRAY(struct recall_standing_entry) entries;
	const struct recall_standing_order *order;
	struct recall_standing_entry entry;
	const char *error;
	pool_t pool;

	pool = pool_alloconly_create("standing orders", 4096);
	p_array_init(&orders, pool, 16);
	if (recall_standing_list(dir, pool, &orders, &error) < 0)
		i_error("Standing orders: %s", error);
	t_array_init(&entries, 16);
	array_foreach(&orders, order) {
		i_zero(&entry);
		if (!order_hash(order, &entry.hash) ||
		    guid_128_from_string(order->recall_id,
					 entry.recall_id) < 0) {
			i_error("Standing orders: %s can never match",
				recall_standing_order_path(dir,
							order->recall_id));
			continue;
		}
		entry.expires = order->expires;
		array_push_back(&entries, &entry);
	}
	pool_unref(&pool);
	if (array_is_empty(&entries))
		return recall_standing_set_remove(dir, error_r);
	return recall_standing_set_write(dir,
			array_front_modifiable(&entries),
			array_count(&entries), error_r);
}

/* Returns how many orders stand now, but for the one with this recall id; -1 on
   errors. One that can't be read counts: it may be in force again. */
static int standing_count_others(const char *dir, const char *recall_id,
				 time_t now, const char **error_r)
{
	struct recall_standing_order order;
	ARRAY_TYPE(const_string) ids;
	const char *const *idp;
	pool_t pool;
	int count = 0;

	t_array_init(&ids, 16);
	if (standing_ids(dir, &ids, error_r) < 0)
		return -1;
	pool = pool_alloconly_create("standing order", 4096);
	array_foreach(&ids, idp) {
		if (strcmp(*idp, recall_id) != 0 &&
		    (recall_standing_read(dir, *idp, pool, &order,
					  error_r) < 0 || order.expires > now))
			count++;
		p_clear(pool);
	}
	pool_unref(&pool);
	return count;
}

static const char *order_get_query(const struct recall_standing_order *order)
{
	return order->query == NULL ? NULL :
		t_strarray_join(order->query, "\t");
}

/* A recall comes in several parts if it has many users: the order is for all of
   them. Returns 1 if it is so already. */
static int standing_merge(const struct recall_standing_order *old,
			  struct recall_standing_order *order,
			  const char **error_r)
{
	ARRAY_TYPE(const_string) users;
	const char *const *user;

	if (null_strcmp(old->message_id, order->message_id) != 0 ||
	    null_strcmp(order_get_query(old), order_get_query(order)) != 0) {
		*error_r = "The recall id is that of another recall";
		return -1;
	}
	if (old->users == NULL) {
		order->users = NULL;
		return 1;
	}
	if (order->users == NULL)
		return 0;
	t_array_init(&users, 16);
	array_append(&users, old->users, str_array_length(old->users));
	for (user = order->users; *user != NULL; user++) {
		if (!str_array_find(old->users, *user))
			array_push_back(&users, user);
	}
	array_append_zero(&users);
	order->users = array_front(&users);
	return str_array_length(order->users) ==
		str_array_length(old->users) ? 1 : 0;
}

/* Whether the set was written after the order, and not lost since. */
static bool set_is_newer(const char *dir, const char *recall_id)
{
	struct stat set_st, order_st;

	return stat(t_strconcat(dir, "/"RECALL_STANDING_SET_NAME, NULL),
		    &set_st) == 0 &&
		stat(recall_standing_order_path(dir, recall_id),
		     &order_st) == 0 &&
		(set_st.st_mtim.tv_sec > order_st.st_mtim.tv_sec ||
		 (set_st.st_mtim.tv_sec == order_st.st_mtim.tv_sec &&
		  set_st.st_mtim.tv_nsec >= order_st.st_mtim.tv_nsec));
}

/* Whether one is for as long as the other, or ends at the same time, as far as
   that can be told by those who count the seconds that are left. */
static bool is_as_long(const struct recall_standing_order *old,
		       const struct recall_standing_order *order)
{
	return order->expires - order->created ==
		old->expires - old->created ||
		(order->expires >= old->expires - EXPIRES_SLACK_SECS &&
		 order->expires <= old->expires + EXPIRES_SLACK_SECS);
}

static int
standing_add_locked(const char *dir, struct recall_standing_order *order,
		    const struct recall_standing_order *old, unsigned int max,
		    const char **error_r)
{
	int count, ret;

	count = standing_count_others(dir, order->recall_id, time(NULL),
				      error_r);
	if (count < 0)
		return -1;
	if ((unsigned int)count >= max)
		return 0;
	ret = old == NULL ? 0 : standing_merge(old, order, error_r);
	if (ret < 0)
		return -1;
	if (ret > 0 && is_as_long(old, order) &&
	    set_is_newer(dir, order->recall_id))
		return 1;
	if (recall_standing_late_init(dir, error_r) < 0 ||
	    recall_standing_order_write(dir, order, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("standing-added");
	ret = standing_write_set(dir, error_r) < 0 ? -1 : 1;
	/* what no message is compared with must not seem to stand */
	if (ret < 0 && old == NULL)
		i_unlink(recall_standing_order_path(dir, order->recall_id));
	return ret;
}

/* join: only if there is one. */
static int
standing_add(const char *dir, const struct recall_standing_order *_order,
	     unsigned int max, bool join, const char **error_r)
{
	struct recall_standing_order old, order = *_order;
	struct file_lock *lock;
	pool_t pool;
	int ret;

	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	pool = pool_alloconly_create("standing order", 4096);
	ret = recall_standing_read(dir, order.recall_id, pool, &old, error_r);
	if (ret > 0 || (ret == 0 && !join)) {
		ret = standing_add_locked(dir, &order, ret > 0 ? &old : NULL,
					  max, error_r);
	}
	pool_unref(&pool);
	file_lock_free(&lock);
	return ret;
}

int recall_standing_add(const char *dir,
			const struct recall_standing_order *order,
			unsigned int max, const char **error_r)
{
	return standing_add(dir, order, max, FALSE, error_r);
}

int recall_standing_join(const char *dir,
			 const struct recall_standing_order *order,
			 const char **error_r)
{
	return standing_add(dir, order, UINT_MAX, TRUE, error_r);
}

int recall_standing_end(const char *dir, const char *recall_id,
			const char **error_r)
{
	const char *path = recall_standing_order_path(dir, recall_id);
	struct file_lock *lock;
	int ret;

	if (recall_standing_has_ended(dir, recall_id))
		return 0;
	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	if (unlink(path) == 0) {
		RECALL_FAILPOINT("standing-ended");
		ret = standing_write_set(dir, error_r) < 0 ? -1 : 1;
	} else if (errno == ENOENT) {
		ret = 0;
	} else {
		*error_r = t_strdup_printf("unlink(%s) failed: %m", path);
		ret = -1;
	}
	file_lock_free(&lock);
	return ret;
}

int recall_standing_expire(const char *dir, time_t now, const char **error_r)
{
	ARRAY_TYPE(recall_standing_order) orders;
	const struct recall_standing_order *order;
	struct file_lock *lock;
	struct stat st;
	const char *path;
	pool_t pool;
	int count = 0;
	int ret;

	if (stat(dir, &st) < 0 && errno == ENOENT)
		return 0;
	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	pool = pool_alloconly_create("standing orders", 4096);
	p_array_init(&orders, pool, 16);
	ret = recall_standing_list(dir, pool, &orders, error_r);
	array_foreach(&orders, order) {
		path = recall_standing_order_path(dir, order->recall_id);
		if (order->expires <= now && i_unlink_if_exists(path) >= 0)
			count++;
	}
	recall_standing_late_expire(dir, now);
	recall_standing_nodes_expire(dir, now);
	/* also mends a set that is missing or damaged */
	if (standing_write_set(dir, error_r) < 0)
		ret = -1;
	pool_unref(&pool);
	file_lock_free(&lock);
	return ret < 0 ? -1 : count;
}
