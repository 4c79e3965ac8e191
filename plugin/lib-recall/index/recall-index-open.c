#include "lib.h"
#include "file-lock.h"
#include "mailbox-list.h"
#include "recall-index-open.h"
#include "recall-index-stamp.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int recall_index_open_create(struct mailbox_list *list, const char *path,
			     const char **error_r)
{
	struct mailbox_permissions perm;
	mode_t old_mask;
	int fd;

	fd = open(path, O_RDWR);
	if (fd == -1 && errno == ENOENT) {
		if (mailbox_list_mkdir_missing_list_index_root(list) < 0) {
			*error_r = mailbox_list_get_last_internal_error(list,
									NULL);
			return -1;
		}
		mailbox_list_get_root_permissions(list, &perm);
		old_mask = umask(0);
		fd = open(path, O_RDWR | O_CREAT, perm.file_create_mode);
		umask(old_mask);
		if (fd != -1 && perm.file_create_gid != (gid_t)-1 &&
		    fchown(fd, (uid_t)-1, perm.file_create_gid) < 0) {
			/* it's of no use to others then; our own it is */
		}
	}
	if (fd == -1)
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
	return fd;
}

int recall_index_lock(int fd, const char *path, unsigned int secs,
		      struct file_lock **lock_r, const char **error_r)
{
	const struct file_lock_settings set = {
		.lock_method = FILE_LOCK_METHOD_FCNTL,
	};
	int ret;

	/* to wait takes an alarm clock, which is seldom needed */
	ret = file_try_lock(fd, path, F_WRLCK, &set, lock_r, error_r);
	if (ret != 0 || secs == 0)
		return ret;
	return file_wait_lock(fd, path, F_WRLCK, &set, secs, lock_r, error_r);
}

bool recall_index_is_current(int fd, const char *path, struct stat *st_r)
{
	struct stat st;

	return fstat(fd, st_r) == 0 && stat(path, &st) == 0 &&
		st.st_ino == st_r->st_ino && CMP_DEV_T(st.st_dev, st_r->st_dev);
}

/* The index whose lock was waited for in vain, as a number. It may be the user
   who has it, and a recall asks for it once a mailbox. */
static uint64_t stuck_index;

static int
index_wait_lock(int fd, const char *path, unsigned int secs,
		struct file_lock **lock_r, const char **error_r)
{
	const uint64_t index = recall_index_stamp_name(path);
	int ret;

	if (secs < RECALL_INDEX_LOCK_SECS)
		return recall_index_lock(fd, path, secs, lock_r, error_r);
	ret = recall_index_lock(fd, path, stuck_index == index ? 0 : secs,
				lock_r, error_r);
	if (ret == 0)
		stuck_index = index;
	else if (stuck_index == index)
		stuck_index = 0;
	return ret;
}

int recall_index_open_locked(struct mailbox_list *list, const char *path,
			     unsigned int secs, struct stat *st_r,
			     struct file_lock **lock_r, const char **error_r)
{
	unsigned int i;
	int fd, ret;

	for (i = 0; i < 100; i++) {
		fd = recall_index_open_create(list, path, error_r);
		if (fd == -1)
			return -1;
		ret = index_wait_lock(fd, path, secs, lock_r, error_r);
		if (ret <= 0) {
			if (ret == 0) {
				*error_r = t_strdup_printf(
					"Timeout while locking %s", path);
			}
			i_close_fd(&fd);
			return -1;
		}
		if (recall_index_is_current(fd, path, st_r))
			return fd;
		/* compacted just now */
		file_lock_free(lock_r);
		i_close_fd(&fd);
	}
	*error_r = t_strdup_printf("%s is replaced all the time", path);
	return -1;
}

void recall_index_close_locked(int *fd, struct file_lock **lock)
{
	/* to close it is to unlock it */
	file_lock_free(lock);
	i_close_fd(fd);
}
