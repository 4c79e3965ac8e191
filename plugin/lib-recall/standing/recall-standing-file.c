#include "lib.h"
#include "write-full.h"
#include "recall-standing-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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
