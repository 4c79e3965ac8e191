#include "lib.h"
#include "file-lock.h"
#include "mkdir-parents.h"
#include "write-full.h"
#include "recall-standing-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"
#define LOCK_TIMEOUT_SECS 30

int recall_standing_lock(const char *dir, struct file_lock **lock_r,
			 const char **error_r)
{
	const struct file_lock_settings set = {
		.lock_method = FILE_LOCK_METHOD_FCNTL,
		.close_on_free = TRUE,
	};
	const char *error, *path = t_strconcat(dir, "/"LOCK_NAME, NULL);
	int fd;

	if (mkdir_parents(dir, 0755) < 0 && errno != EEXIST) {
		*error_r = t_strdup_printf("mkdir(%s) failed: %m", dir);
		return -1;
	}
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	if (file_wait_lock(fd, path, F_WRLCK, &set, LOCK_TIMEOUT_SECS, lock_r,
			   &error) <= 0) {
		*error_r = t_strdup_printf("Locking %s failed: %s", path,
					   error);
		i_close_fd(&fd);
		return -1;
	}
	return 0;
}

int recall_standing_file_write(const char *path, const void *data, size_t size,
			       const char **error_r)
{
	int fd;

	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	if (fd == -1) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	if (write_full(fd, data, size) < 0 || fchmod(fd, 0644) < 0 ||
	    fdatasync(fd) < 0) {
		*error_r = t_strdup_printf("write(%s) failed: %m", path);
		i_close_fd(&fd);
		i_unlink(path);
		return -1;
	}
	i_close_fd(&fd);
	return 0;
}

int recall_standing_file_rename(const char *temp_path, const char *path,
				const char **error_r)
{
	if (rename(temp_path, path) == 0)
		return 0;
	*error_r = t_strdup_printf("rename(%s, %s) failed: %m", temp_path,
				   path);
	i_unlink(temp_path);
	return -1;
}
