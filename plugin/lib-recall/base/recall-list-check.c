#include "lib.h"
#include "mailbox-list-private.h"
#include "recall-list-check.h"

#include <fcntl.h>
#include <unistd.h>

int recall_list_check_readable(struct mailbox_list *list, const char **error_r)
{
	const char *path;
	int fd;

	if (!mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_MAILBOX,
					&path))
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && !ENOTFOUND(errno)) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	i_close_fd(&fd);
	return 0;
}
