#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static char dir[64];

void fuzz_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: it is not true that %s\n", file, line,
		condition);
	abort();
}

static int remove_file(const char *path, const struct stat *st, int type,
		       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static void remove_dir(void)
{
	(void)nftw(dir, remove_file, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_dir(void)
{
	if (*dir != '\0')
		return dir;
	strcpy(dir, "/dev/shm/fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL) {
		strcpy(dir, "/tmp/fuzz-XXXXXX");
		require(mkdtemp(dir) != NULL);
	}
	(void)atexit(remove_dir);
	return dir;
}

char *fuzz_path(const char *name)
{
	char *path;

	require(asprintf(&path, "%s/%s", fuzz_dir(), name) > 0);
	return path;
}

void fuzz_write(const char *path, const void *data, size_t size)
{
	/* its pages stay: to give them back and take others is dear */
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	require(fd != -1);
	if (size > 0)
		require(write(fd, data, size) == (ssize_t)size);
	require(ftruncate(fd, size) == 0);
	close(fd);
}
