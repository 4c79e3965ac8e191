#include "lib.h"
#include "dovecot-compat.h"
#include "mailbox-list-private.h"
#include "recall-list-check.h"

#include <fcntl.h>
#include <unistd.h>

/* Whether it is not there as a symbolic link on the way to it leads nowhere:
   what that leads to, a disk mostly, is lacking. */
static bool path_is_dangling(const char *path)
{
	const char *p;
	struct stat st;

	while (lstat(path, &st) < 0) {
		p = strrchr(path, '/');
		if (p == NULL || p == path)
			return FALSE;
		path = t_strdup_until(path, p);
	}
	return S_ISLNK(st.st_mode) && stat(path, &st) < 0;
}

/* Returns 1 if it can be read, 0 if there is no such directory, else -1. */
static int
list_check_dir(const char *path, struct stat *st_r, const char **error_r)
{
	/* not access(), which asks for the user that a process began as */
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd == -1) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		if (ENOTFOUND(errno) && !path_is_dangling(path))
			return 0;
		return -1;
	}
	ret = fstat(fd, st_r);
	if (ret < 0)
		*error_r = t_strdup_printf("fstat(%s) failed: %m", path);
	i_close_fd(&fd);
	return ret < 0 ? -1 : 1;
}

/* Mailboxes may be listed from the directories of their indexes (ITERINDEX). */
static int list_check_index_dir(struct mailbox_list *list, const char *name,
				const char **error_r)
{
	const char *root;
	struct stat st;

	if (!recall_list_is_of_index(list) ||
	    !mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_INDEX,
					&root))
		return 0;
	return list_check_dir(t_strconcat(root, "/",
					  recall_list_get_dir_prefix(list),
					  name, NULL), &st, error_r);
}

int recall_list_check_readable(struct mailbox_list *list, const char **error_r)
{
	const char *path;
	struct stat st;

	if (list_check_index_dir(list, "", error_r) < 0)
		return -1;
	if (!mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_MAILBOX,
					&path))
		return 0;
	return list_check_dir(path, &st, error_r) < 0 ? -1 : 0;
}

int recall_list_check_mailbox(struct mailbox_list *list, const char *name,
			      struct stat *st_r, const char **error_r)
{
	const char *path;

	/* in other layouts all are in the root */
	if (strcmp(list->name, MAILBOX_LIST_NAME_FS) != 0)
		return 0;
	if (list_check_index_dir(list, name, error_r) < 0)
		return -1;
	if (mailbox_list_get_path(list, name, MAILBOX_LIST_PATH_TYPE_DIR,
				  &path) <= 0)
		return 0;
	return list_check_dir(path, st_r, error_r);
}
