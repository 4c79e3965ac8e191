/* Standing orders and their set, of whatever contents. The first octet says
   which file it is. */
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "guid.h"
#include "recall-standing.h"
#include "recall-standing-set.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef"

static char dir[] = "/tmp/fuzz-standing-XXXXXX";

static void clean(void)
{
	(void)unlink(t_strconcat(dir, "/set", NULL));
	(void)unlink(t_strconcat(dir, "/"ID".order", NULL));
	(void)rmdir(dir);
	lib_deinit();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	if (mkdtemp(dir) == NULL)
		i_fatal("mkdtemp() failed: %m");
	(void)atexit(clean);
	return 0;
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
	const char *path = t_strconcat(dir, name, NULL);
	int fd;

	/* a new file each time, as writers do */
	(void)unlink(path);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		i_fatal("write(%s) failed: %m", path);
	i_close_fd(&fd);
}

static void try_order(const uint8_t *data, size_t size)
{
	struct recall_standing_order order;
	const char *error = NULL;
	pool_t pool = pool_alloconly_create("order", 1024);

	write_file("/"ID".order", data, size);
	if (recall_standing_read(dir, ID, pool, &order, &error) > 0) {
		/* one that has no limit must say so */
		i_assert((order.message_id == NULL) != (order.query == NULL));
		i_assert(order.users == NULL || order.users[0] != NULL);
		(void)recall_standing_is_for_user(&order, "a@example.com");
	} else {
		i_assert(error != NULL);
	}
	pool_unref(&pool);
}

static void try_set(const uint8_t *data, size_t size)
{
	struct recall_standing_set *set = recall_standing_set_init(dir);
	buffer_t *ids = t_buffer_create(64);
	const char *error;
	uint64_t hash = 0;

	write_file("/set", data, size);
	memcpy(&hash, data + (size > 40 ? 24 : 0),
	       size > 40 ? sizeof(hash) : 0);
	if (recall_standing_set_refresh(set, &error) > 0) {
		recall_standing_set_find(set, hash, 1, ids);
		recall_standing_set_find(set, 0, 1, ids);
		recall_standing_set_find(set, UINT64_MAX, 1, ids);
	}
	recall_standing_set_deinit(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	T_BEGIN {
		if (data[0] % 2 == 0)
			try_order(data + 1, size - 1);
		else
			try_set(data + 1, size - 1);
	} T_END;
	return 0;
}
