#include "lib.h"
#include "recall-dotlock.h"
#include "write-full.h"
#include "run-tests.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test-dotlock-XXXXXX";
static const char *path, *other_path;

static int create(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd == -1 || write_full(fd, text, strlen(text)) < 0)
		i_fatal("Can't write %s: %m", name);
	return fd;
}

static bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void left_behind(const char *text, bool stays)
{
	int fd = create(path, text);

	i_close_fd(&fd);
	recall_dotlock_delete_stale(path);
	CU_ASSERT_EQUAL(exists(path), stays);
	(void)unlink(path);
}

static void test_left_behind(void)
{
	left_behind("", FALSE);
	/* half a file that was to take the place of another one */
	left_behind("3 V1795613179", FALSE);
	left_behind("\x02\x03", FALSE);
	/* Dovecot finds out by itself */
	left_behind("1:host", TRUE);
}

static void test_owner_lives(void)
{
	int fd = create(path, "");

	recall_dotlock_delete_stale(path);
	CU_ASSERT_TRUE(exists(path));
	i_close_fd(&fd);

	/* one that only reads it counts as well */
	fd = open(path, O_RDONLY);
	recall_dotlock_delete_stale(path);
	CU_ASSERT_TRUE(exists(path));
	i_close_fd(&fd);
	recall_dotlock_delete_stale(path);
	CU_ASSERT_FALSE(exists(path));
}

static void test_no_lock(void)
{
	int fd;

	recall_dotlock_delete_stale(path);
	CU_ASSERT_FALSE(exists(path));

	fd = create(other_path, "");
	i_close_fd(&fd);
	if (symlink(other_path, path) < 0)
		i_fatal("symlink(%s) failed: %m", path);
	recall_dotlock_delete_stale(path);
	CU_ASSERT_TRUE(exists(path));
	CU_ASSERT_TRUE(exists(other_path));
	(void)unlink(path);
	(void)unlink(other_path);
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	if (mkdtemp(dir) == NULL)
		i_fatal("mkdtemp(%s) failed: %m", dir);
	path = i_strconcat(dir, "/lock", NULL);
	other_path = i_strconcat(dir, "/other", NULL);
	suite = tests_begin("dotlock");
	CU_add_test(suite, "left behind", test_left_behind);
	CU_add_test(suite, "owner lives", test_owner_lives);
	CU_add_test(suite, "no lock", test_no_lock);
	ret = tests_run();
	(void)rmdir(dir);
	lib_deinit();
	return ret;
}
