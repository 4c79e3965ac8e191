#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "guid.h"
#include "recall-index.h"
#include "recall-params.h"
#include "recall-standing.h"
#include "recall-standing-late.h"
#include "recall-standing-nodes.h"
#include "recall-standing-set.h"
#include "recall-stop.h"
#include "unlink-directory.h"
#include "write-full.h"
#include "run-tests.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ID_A "0123456789abcdef0123456789abcdef"
#define ID_B "1123456789abcdef0123456789abcdef"
#define ID_C "2123456789abcdef0123456789abcdef"

static char parent_dir[] = "/tmp/test-standing-XXXXXX";
static char *dir;

static struct recall_standing_order order_of(const char *recall_id,
					     const char *message_id)
{
	return (struct recall_standing_order){
		.recall_id = recall_id,
		.message_id = message_id,
		.reason = "", .actor = "",
		.created = 1000, .expires = time(NULL) + 3600,
	};
}

static void clean(void)
{
	const char *error;

	if (unlink_directory(dir, UNLINK_DIRECTORY_FLAG_RMDIR, &error) < 0)
		CU_FAIL_FATAL("cannot clean up");
}

static void write_file(const char *name, const char *data, size_t size)
{
	const char *path = t_strconcat(dir, "/", name, NULL);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CU_ASSERT_FATAL(fd != -1 && write_full(fd, data, size) == 0);
	i_close_fd(&fd);
}

static uint64_t hash_text(const char *text)
{
	struct recall_message_id id = { .len = strlen(text) };

	memcpy(id.data, text, id.len);
	return recall_index_hash(&id);
}

/* How many orders the set names for the id, -1 if the set is damaged. */
static int found(struct recall_standing_set *set, uint64_t hash)
{
	buffer_t *ids = t_buffer_create(64);
	const char *error;
	int ret = recall_standing_set_refresh(set, &error);

	if (ret > 0)
		recall_standing_set_find(set, hash, time(NULL), ids);
	return ret < 0 ? -1 : (int)(ids->used / GUID_128_SIZE);
}

static void test_round_trip(void)
{
	static const char *const query[] = { "FROM", "a\tb", "SUBJECT",
					     "x y\n", "HEADER", "X", "",
					     NULL };
	static const char *const senders[] = { "s@example.com", NULL };
	static const char *const users[] = { "u1@example.com",
					     "u2@example.com", NULL };
	struct recall_standing_order back, order = order_of(ID_A, NULL);
	const char *error;
	unsigned int i;
	pool_t pool = pool_alloconly_create("test", 1024);

	order.query = query;
	order.senders = senders;
	order.users = users;
	order.tenant = "t1";
	order.reason = "because\\of\tthat";
	order.actor = "admin";
	order.force = order.notify = TRUE;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	CU_ASSERT_EQUAL_FATAL(recall_standing_read(dir, ID_A, pool, &back,
						   &error), 1);
	CU_ASSERT_PTR_NULL(back.message_id);
	CU_ASSERT_EQUAL_FATAL(str_array_length(back.query),
			      N_ELEMENTS(query) - 1);
	for (i = 0; query[i] != NULL; i++)
		CU_ASSERT_STRING_EQUAL(back.query[i], query[i]);
	CU_ASSERT_STRING_EQUAL(back.senders[0], "s@example.com");
	CU_ASSERT(recall_standing_is_for_user(&back, "u2@example.com"));
	CU_ASSERT(!recall_standing_is_for_user(&back, "u3@example.com"));
	CU_ASSERT_STRING_EQUAL(back.tenant, "t1");
	CU_ASSERT_STRING_EQUAL(back.reason, "because\\of\tthat");
	CU_ASSERT_STRING_EQUAL(back.actor, "admin");
	CU_ASSERT(back.force && back.notify);
	CU_ASSERT_EQUAL(back.created, 1000);
	CU_ASSERT_EQUAL(back.expires, order.expires);
	CU_ASSERT_EQUAL(recall_standing_read(dir, ID_B, pool, &back, &error),
			0);
	pool_unref(&pool);
	clean();
}

static void test_set(void)
{
	struct recall_standing_set *set = recall_standing_set_init(dir);
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	static const char *const query[] = { "FROM", "x", NULL };
	const char *error;

	/* nothing there is no error */
	CU_ASSERT_EQUAL(recall_standing_set_refresh(set, &error), 0);
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	order = order_of(ID_B, "a@b");
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	order = order_of(ID_C, NULL);
	order.query = query;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);

	CU_ASSERT_EQUAL(found(set, hash_text("a@b")), 2);
	CU_ASSERT_EQUAL(found(set, hash_text("a@c")), 0);
	CU_ASSERT_EQUAL(found(set, RECALL_STANDING_HASH_QUERY), 1);

	CU_ASSERT_EQUAL(recall_standing_end(dir, ID_A, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_end(dir, ID_A, &error), 0);
	CU_ASSERT_EQUAL(found(set, hash_text("a@b")), 1);
	CU_ASSERT_EQUAL(recall_standing_end(dir, ID_B, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_end(dir, ID_C, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_set_refresh(set, &error), 0);
	recall_standing_set_deinit(&set);
	clean();
}

static void test_limit_and_expiry(void)
{
	struct recall_standing_set *set = recall_standing_set_init(dir);
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	ARRAY_TYPE(recall_standing_order) orders;
	pool_t pool = pool_alloconly_create("test", 1024);
	const char *error;

	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 1, &error), 1);
	order = order_of(ID_B, "<c@d>");
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 1, &error), 0);
	/* the same one again is not one more */
	order = order_of(ID_A, "<a@b>");
	order.expires = time(NULL) - 1;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 1, &error), 1);
	/* what has expired matches nothing, and takes no place */
	CU_ASSERT_EQUAL(found(set, hash_text("a@b")), 0);
	order = order_of(ID_B, "<c@d>");
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 1, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_expire(dir, time(NULL), &error), 1);
	p_array_init(&orders, pool, 4);
	CU_ASSERT_EQUAL(recall_standing_list(dir, pool, &orders, &error), 0);
	CU_ASSERT_EQUAL(array_count(&orders), 1);
	CU_ASSERT_EQUAL(found(set, hash_text("c@d")), 1);
	pool_unref(&pool);
	recall_standing_set_deinit(&set);
	clean();
}

static void test_users(void)
{
	static const char *const one[] = { "u1@example.com", NULL };
	static const char *const two[] = { "u2@example.com", "u1@example.com",
					   "*@t.example", NULL };
	struct recall_standing_order back, order = order_of(ID_A, "<a@b>");
	pool_t pool = pool_alloconly_create("test", 1024);
	const char *error;

	/* a recall in parts */
	order.users = one;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	order.users = two;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	CU_ASSERT_EQUAL_FATAL(recall_standing_read(dir, ID_A, pool, &back,
						   &error), 1);
	CU_ASSERT_EQUAL(str_array_length(back.users), 3);
	CU_ASSERT(recall_standing_is_for_user(&back, "u1@example.com"));
	CU_ASSERT(recall_standing_is_for_user(&back, "x@t.example"));
	CU_ASSERT(!recall_standing_is_for_user(&back, "u3@example.com"));
	/* of another message: as it was */
	order = order_of(ID_A, "<other@b>");
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), -1);
	CU_ASSERT_EQUAL(recall_standing_read(dir, ID_A, pool, &back, &error),
			1);
	CU_ASSERT_STRING_EQUAL(back.message_id, "<a@b>");
	/* everyone stays everyone */
	order = order_of(ID_A, "<a@b>");
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	order.users = one;
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_read(dir, ID_A, pool, &back, &error),
			1);
	CU_ASSERT_PTR_NULL(back.users);
	pool_unref(&pool);
	clean();
}

/* Whoever may write there takes no memory of others without end, nor hides what
   others have. */
static void test_late_too_much(void)
{
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	const unsigned int line_len = 8000;
	const unsigned int count = RECALL_STANDING_LATE_MAX / line_len + 100;
	ARRAY_TYPE(recall_standing_late) lates;
	const char *error, *name, *line;
	unsigned int i, found;
	buffer_t *buf;
	pool_t pool;

	CU_ASSERT_EQUAL_FATAL(recall_standing_add(dir, &order, 10, &error), 1);
	buf = buffer_create_dynamic(default_pool, count * line_len);
	for (i = 0; i < count; i++) T_BEGIN {
		line = t_strdup_printf("%u\tu1\t1\t", 1000 + i);
		buffer_append(buf, line, strlen(line));
		memset(buffer_append_space_unsafe(buf, line_len -
						  strlen(line) - 1), 'x',
		       line_len - strlen(line) - 1);
		buffer_append_c(buf, '\n');
	} T_END;
	name = t_strdup_printf("late/"ID_A".%s", dec2str(geteuid()));
	write_file(name, buf->data, buf->used);
	pool = pool_alloconly_create("test", 1024);
	p_array_init(&lates, pool, 4);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 0, pool, &lates,
						  &error), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "its owner has more than 64 MB"));
	found = array_count(&lates);
	CU_ASSERT(found > 8000 && found < count);
	/* what is new is there, since the rest is not asked for */
	array_clear(&lates);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 1000 + count - 2,
						  pool, &lates, &error), 0);
	CU_ASSERT_EQUAL(array_count(&lates), 2);
	memset(buffer_get_modifiable_data(buf, NULL), 'y', 9000);
	write_file(name, buf->data, 9000);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 0, pool, &lates,
						  &error), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "Line is too long"));
	buffer_free(&buf);
	pool_unref(&pool);
	clean();
}

/* The next line after one that was cut short is whole. */
static void test_late_cut(void)
{
	static const char *const cuts[] = {
		"", "1", "12\tu1", "12\tu1\t1\tINB", "12\tu1\t1\tINBOX"
	};
	const struct recall_standing_late late = {
		.recall_id = ID_A, .username = "u1", .time = 1000,
		.copies = 2, .mailboxes = "INBOX",
	};
	ARRAY_TYPE(recall_standing_late) lates;
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	pool_t pool = pool_alloconly_create("test", 1024);
	const char *error;
	unsigned int i;

	p_array_init(&lates, pool, 4);
	CU_ASSERT_EQUAL_FATAL(recall_standing_add(dir, &order, 10, &error), 1);
	for (i = 0; i < N_ELEMENTS(cuts); i++) {
		write_file(t_strdup_printf("late/"ID_A".%s",
					   dec2str(geteuid())),
			   cuts[i], strlen(cuts[i]));
		CU_ASSERT_EQUAL(recall_standing_late_add(dir, &late, &error),
				0);
		CU_ASSERT_EQUAL(recall_standing_late_add(dir, &late, &error),
				0);
		array_clear(&lates);
		CU_ASSERT_EQUAL(recall_standing_late_read(dir, ID_A, 1000, pool,
							  &lates, &error), 0);
		CU_ASSERT_EQUAL(array_count(&lates), 2);
	}
	pool_unref(&pool);
	clean();
}

static void test_late(void)
{
	const struct recall_standing_late late = {
		.recall_id = ID_A, .username = "u\t1", .time = 1000,
		.copies = 2, .mailboxes = "INBOX,a\tb",
	};
	ARRAY_TYPE(recall_standing_late) lates;
	const struct recall_standing_late *back;
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	pool_t pool = pool_alloconly_create("test", 1024);
	const char *error;

	p_array_init(&lates, pool, 4);
	/* without orders there is no place for it */
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 0, pool, &lates,
						  &error), 0);
	CU_ASSERT_EQUAL(recall_standing_late_add(dir, &late, &error), -1);
	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	CU_ASSERT_EQUAL(recall_standing_late_add(dir, &late, &error), 0);
	CU_ASSERT_EQUAL(recall_standing_late_add(dir, &late, &error), 0);
	/* a line cut short, and one of somebody else */
	write_file(t_strdup_printf("late/"ID_B".%s", dec2str(geteuid())),
		   "12\tu1", 5);
	write_file(t_strdup_printf("late/"ID_A".%s", dec2str(geteuid() + 1)),
		   "1\tu1\t1\tINBOX\n", 14);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 0, pool, &lates,
						  &error), -1);
	CU_ASSERT_EQUAL_FATAL(array_count(&lates), 2);
	back = array_idx(&lates, 1);
	CU_ASSERT_STRING_EQUAL(back->recall_id, ID_A);
	CU_ASSERT_STRING_EQUAL(back->username, "u\t1");
	CU_ASSERT_EQUAL(back->time, 1000);
	CU_ASSERT_EQUAL(back->copies, 2);
	CU_ASSERT_STRING_EQUAL(back->mailboxes, "INBOX,a\tb");

	/* kept for as long as the order stands, and a while longer */
	recall_standing_late_expire(dir, time(NULL) + 365 * 86400);
	array_clear(&lates);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, ID_A, 0, pool, &lates,
						  &error), -1);
	CU_ASSERT_EQUAL(array_count(&lates), 2);
	CU_ASSERT_EQUAL(recall_standing_end(dir, ID_A, &error), 1);
	recall_standing_late_expire(dir, time(NULL));
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, ID_A, 0, pool, &lates,
						  &error), -1);
	CU_ASSERT_EQUAL(array_count(&lates), 4);
	recall_standing_late_expire(dir, time(NULL) + 365 * 86400);
	array_clear(&lates);
	CU_ASSERT_EQUAL(recall_standing_late_read(dir, NULL, 0, pool, &lates,
						  &error), 0);
	CU_ASSERT(array_is_empty(&lates));
	pool_unref(&pool);
	clean();
}

static void test_damaged_order(void)
{
	static const char *const damaged[] = {
		"", "recall standing order 1\n",
		/* no end */
		"recall standing order 1\nrecall-id\t"ID_B"\nmessage-id\t<c@d>"
		"\neveryone\tyes\ncreated\t1\nexpires\t99999999999\n",
		/* no users: that must not mean everyone */
		"recall standing order 1\nrecall-id\t"ID_B"\nmessage-id\t<c@d>"
		"\ncreated\t1\nexpires\t99999999999\nend\n",
		/* another one's */
		"recall standing order 1\nrecall-id\t"ID_A"\nmessage-id\t<c@d>"
		"\neveryone\tyes\ncreated\t1\nexpires\t99999999999\nend\n",
		/* a limit that this version does not know */
		"recall standing order 1\nrecall-id\t"ID_B"\nmessage-id\t<c@d>"
		"\nonly\tx\neveryone\tyes\ncreated\t1\nexpires\t99999999999\n"
		"end\n",
		"recall standing order 2\nend\n",
	};
	struct recall_standing_order back, order = order_of(ID_A, "<a@b>");
	ARRAY_TYPE(recall_standing_order) orders;
	pool_t pool = pool_alloconly_create("test", 1024);
	const char *error;
	unsigned int i;

	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	for (i = 0; i < N_ELEMENTS(damaged); i++) {
		write_file(ID_B".order", damaged[i], strlen(damaged[i]));
		error = NULL;
		CU_ASSERT_EQUAL(recall_standing_read(dir, ID_B, pool, &back,
						     &error), -1);
		CU_ASSERT_PTR_NOT_NULL(error);
		p_array_init(&orders, pool, 4);
		CU_ASSERT_EQUAL(recall_standing_list(dir, pool, &orders,
						     &error), -1);
		/* never at the others' cost */
		CU_ASSERT_EQUAL(array_count(&orders), 1);
	}
	pool_unref(&pool);
	clean();
}

static void test_damaged_set(void)
{
	struct recall_standing_set *set = recall_standing_set_init(dir);
	struct recall_standing_order order = order_of(ID_A, "<a@b>");
	const char *error;
	char data[64] = "RCLSET1";

	CU_ASSERT_EQUAL(recall_standing_add(dir, &order, 10, &error), 1);
	CU_ASSERT_EQUAL(found(set, hash_text("a@b")), 1);

	write_file("set", data, sizeof(data));
	CU_ASSERT_EQUAL(recall_standing_set_refresh(set, &error), -1);
	CU_ASSERT_PTR_NOT_NULL(error);
	/* told of once */
	CU_ASSERT_EQUAL(recall_standing_set_refresh(set, &error), -1);
	CU_ASSERT_PTR_NULL(error);
	write_file("set", "", 0);
	CU_ASSERT_EQUAL(recall_standing_set_refresh(set, &error), -1);
	CU_ASSERT_PTR_NOT_NULL(error);

	/* made anew from the orders */
	CU_ASSERT_EQUAL(recall_standing_expire(dir, 0, &error), 0);
	CU_ASSERT_EQUAL(found(set, hash_text("a@b")), 1);
	recall_standing_set_deinit(&set);
	clean();
}

/* Those of an order, with commas between them; NULL if that is not known. */
static const char *get_nodes(const char *recall_id)
{
	pool_t pool = pool_datastack_create();
	ARRAY_TYPE(const_string) nodes;
	const char *error;

	p_array_init(&nodes, pool, 4);
	if (recall_standing_nodes_read(dir, recall_id, pool, &nodes,
				       &error) < 0)
		return NULL;
	array_append_zero(&nodes);
	return t_strarray_join(array_front(&nodes), ",");
}

static int add_node(const char *recall_id, const char *node, time_t expires,
		    bool of_order)
{
	const char *error;

	return recall_standing_nodes_add(dir, recall_id, node, expires,
					 of_order, &error);
}

static void test_nodes(void)
{
	struct recall_standing_order order = order_of(ID_A, "a@example.com");
	static const char *const b[] = { "b", NULL };
	const time_t now = time(NULL);
	const char *error;

	/* of an order that is not there */
	CU_ASSERT(add_node(ID_A, "a", now + 60, TRUE) == 0);
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_A), "");
	CU_ASSERT(recall_standing_add(dir, &order, 10, &error) == 1);
	CU_ASSERT(add_node(ID_A, "a", now + 60, TRUE) == 1);
	CU_ASSERT(add_node(ID_A, "b", now + 600, TRUE) == 1);
	CU_ASSERT(add_node(ID_A, "c\tport=1\n", now + 600, TRUE) == 1);
	/* whichever is later */
	CU_ASSERT(add_node(ID_A, "b", now + 60, TRUE) == 1);
	CU_ASSERT(add_node(ID_B, "b", now + 60, FALSE) == 1);
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_A), "a,b,c\tport=1\n");
	/* they outlive the order */
	CU_ASSERT(recall_standing_end(dir, ID_A, &error) == 1);
	CU_ASSERT(recall_standing_expire(dir, now + 59, &error) == 0);
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_A), "a,b,c\tport=1\n");
	CU_ASSERT(recall_standing_expire(dir, now + 60, &error) == 0);
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_A), "b,c\tport=1\n");
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_B), "");
	CU_ASSERT(recall_standing_nodes_remove(dir, ID_A, b, &error) == 0);
	CU_ASSERT_STRING_EQUAL(get_nodes(ID_A), "c\tport=1\n");
	CU_ASSERT(add_node(ID_A, "a", now + 60, TRUE) == 0);
	/* a line that is none, or has no end */
	write_file(ID_A".nodes", "x\n", 2);
	CU_ASSERT(get_nodes(ID_A) == NULL);
	CU_ASSERT(add_node(ID_A, "a", now + 60, FALSE) == -1);
	write_file(ID_A".nodes", "1\ta", 3);
	CU_ASSERT(get_nodes(ID_A) == NULL);
	clean();
}

/* Whether recalls are stopped, and what that says. */
static int read_stop(struct recall_stop *stop_r)
{
	const char *error;

	return recall_stop_read(dir, stop_r, &error);
}

static void test_stop(void)
{
	const struct recall_stop stop = {
		.actor = "so\tc", .reason = "look\nfirst", .since = 1000,
	};
	const struct recall_stop other = { .actor = "", .reason = "" };
	struct recall_stop back;
	const char *error;

	/* nothing there is no error */
	CU_ASSERT_EQUAL(read_stop(&back), 0);
	CU_ASSERT_PTR_NULL(recall_stop_check(dir));
	CU_ASSERT_EQUAL(recall_stop_release(dir, NULL, "", &error), 0);
	CU_ASSERT_EQUAL(recall_stop_release(dir, "so\tc", "", &error), 0);
	CU_ASSERT_EQUAL(recall_stop_set(dir, &stop, &error), 1);
	/* the first one stays */
	CU_ASSERT_EQUAL(recall_stop_set(dir, &other, &error), 0);
	CU_ASSERT_EQUAL_FATAL(read_stop(&back), 1);
	CU_ASSERT_STRING_EQUAL(back.actor, "so\tc");
	CU_ASSERT_STRING_EQUAL(back.reason, "look\nfirst");
	CU_ASSERT_EQUAL(back.since, 1000);
	CU_ASSERT_STRING_EQUAL(recall_stop_check(dir), RECALL_ERROR_STOPPED
			       " by so\tc: look\nfirst");
	/* another one's, or for another reason */
	CU_ASSERT_EQUAL(recall_stop_release(dir, "soc", "look\nfirst",
					    &error), 0);
	CU_ASSERT_EQUAL(recall_stop_release(dir, "so\tc", "look", &error), 0);
	CU_ASSERT_EQUAL(read_stop(&back), 1);
	CU_ASSERT_EQUAL(recall_stop_release(dir, "so\tc", "look\nfirst",
					    &error), 1);
	CU_ASSERT_EQUAL(read_stop(&back), 0);
	CU_ASSERT_EQUAL(recall_stop_set(dir, &other, &error), 1);
	CU_ASSERT_STRING_EQUAL(recall_stop_check(dir), RECALL_ERROR_STOPPED);
	CU_ASSERT_EQUAL(recall_stop_release(dir, NULL, "", &error), 1);
	/* no other file is left than the lock */
	CU_ASSERT_EQUAL(unlink(t_strconcat(dir, "/lock", NULL)), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* That the file is there is what counts. */
static void test_damaged_stop(void)
{
	static const char *const damaged[] = {
		"", "\n", "x\n", "x\tsoc\tlook\n", "1000", "1000\tsoc",
		"1000\tsoc\tlook\tfirst\n",
	};
	struct recall_stop back;
	const char *error, *path = t_strconcat(dir, "/stop", NULL);
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0755), 0);
	for (i = 0; i < N_ELEMENTS(damaged); i++) {
		write_file("stop", damaged[i], strlen(damaged[i]));
		CU_ASSERT_EQUAL_FATAL(read_stop(&back), 1);
		CU_ASSERT_STRING_EQUAL(back.actor, i < 6 ? "" : "soc");
		CU_ASSERT_STRING_EQUAL(back.reason, i < 6 ? "" : "look");
		CU_ASSERT_PTR_NOT_NULL(recall_stop_check(dir));
	}
	CU_ASSERT_EQUAL(unlink(path), 0);
	/* what can't be read may be a stop */
	CU_ASSERT_EQUAL(symlink("stop", path), 0);
	CU_ASSERT_EQUAL(read_stop(&back), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(recall_stop_check(dir),
				      "is not known: open("));
	CU_ASSERT_EQUAL(recall_stop_release(dir, "", "", &error), -1);
	CU_ASSERT_EQUAL(recall_stop_release(dir, NULL, "", &error), 1);
	CU_ASSERT_PTR_NULL(recall_stop_check(dir));
	/* what is no file can't be taken away */
	CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	error = NULL;
	CU_ASSERT_EQUAL(recall_stop_release(dir, NULL, "", &error), -1);
	CU_ASSERT_PTR_NOT_NULL(error);
	clean();
}

static void test_stop_without_directory(void)
{
	const struct recall_stop stop = { .actor = "", .reason = "" };
	const char *error, *file;
	struct recall_stop back;

	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0755), 0);
	write_file("file", "", 0);
	file = t_strconcat(dir, "/file", NULL);
	CU_ASSERT_EQUAL(recall_stop_read(file, &back, &error), 0);
	CU_ASSERT_EQUAL(recall_stop_release(file, NULL, "", &error), 0);
	error = NULL;
	CU_ASSERT_EQUAL(recall_stop_set(t_strconcat(file, "/x", NULL), &stop,
					&error), -1);
	CU_ASSERT_PTR_NOT_NULL(error);
	error = NULL;
	CU_ASSERT_EQUAL(recall_stop_set(file, &stop, &error), -1);
	CU_ASSERT_PTR_NOT_NULL(error);
	clean();
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	if (mkdtemp(parent_dir) == NULL)
		i_fatal("mkdtemp(%s) failed: %m", parent_dir);
	dir = i_strconcat(parent_dir, "/orders", NULL);
	suite = tests_begin("standing");
	CU_add_test(suite, "round trip", test_round_trip);
	CU_add_test(suite, "set", test_set);
	CU_add_test(suite, "limit and expiry", test_limit_and_expiry);
	CU_add_test(suite, "users", test_users);
	CU_add_test(suite, "nodes", test_nodes);
	CU_add_test(suite, "late", test_late);
	CU_add_test(suite, "late after a line cut short", test_late_cut);
	CU_add_test(suite, "too much that came late", test_late_too_much);
	CU_add_test(suite, "damaged order", test_damaged_order);
	CU_add_test(suite, "damaged set", test_damaged_set);
	CU_add_test(suite, "stop", test_stop);
	CU_add_test(suite, "damaged stop", test_damaged_stop);
	CU_add_test(suite, "stop without a directory",
		    test_stop_without_directory);
	ret = tests_run();
	(void)rmdir(parent_dir);
	i_free(dir);
	lib_deinit();
	return ret;
}
