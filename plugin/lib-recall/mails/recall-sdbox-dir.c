#include "lib.h"
#include "array.h"
#include "mail-index-private.h"
#include "mail-storage-private.h"
#include "mail-transaction-log-private.h"
#include "sdbox-storage.h"
#include "recall-sdbox-dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The index's log is renamed with the mailbox. */
static bool log_is_there(const struct mail_transaction_log_file *file)
{
	struct stat st;

	if (stat(file->filepath, &st) < 0)
		return !ENOTFOUND(errno);
	return st.st_ino == file->st_ino && CMP_DEV_T(st.st_dev, file->st_dev);
}

bool recall_sdbox_dir_open(struct mailbox *box, int *fd_r)
{
	const struct mail_transaction_log_file *file = box->index->log->head;

	*fd_r = -1;
	if (strcmp(box->storage->name, SDBOX_STORAGE_NAME) != 0 ||
	    MAIL_TRANSACTION_LOG_FILE_IN_MEMORY(file))
		return TRUE;
	*fd_r = open(mailbox_get_path(box),
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd_r == -1)
		return !ENOTFOUND(errno);
	/* in this order: then it is the directory of this mailbox */
	if (log_is_there(file))
		return TRUE;
	i_close_fd(fd_r);
	return FALSE;
}

static bool dir_is_there(struct mailbox *box, int fd)
{
	struct stat st, path_st;

	return fstat(fd, &st) == 0 &&
		stat(mailbox_get_path(box), &path_st) == 0 &&
		st.st_ino == path_st.st_ino &&
		CMP_DEV_T(st.st_dev, path_st.st_dev);
}

/* Whether a message is more than its file in the directory. */
static bool box_has_other_files(struct mailbox *box)
{
	const struct dbox_storage *storage = DBOX_STORAGE(box->storage);
	const char *path;

	return storage->attachment_dir != NULL ||
		mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_ALT_MAILBOX,
				    &path) > 0;
}

int recall_sdbox_dir_clean(struct mailbox *box, int fd,
			   const ARRAY_TYPE(seq_range) *uids,
			   const char **error_r)
{
	struct seq_range_iter iter;
	const char *fname;
	unsigned int n = 0;
	uint32_t uid, seq;

	/* where it's where it was, whoever else syncs it may be deleting the
	   files, and is to know which ones */
	if (fd == -1 || dir_is_there(box, fd))
		return 0;
	if (box_has_other_files(box)) {
		*error_r = "It was renamed or deleted meanwhile: files may be "
			"left";
		return -1;
	}
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		/* what somebody has brought back the next look finds */
		if (mail_index_lookup_seq(box->view, uid, &seq))
			continue;
		fname = t_strdup_printf(SDBOX_MAIL_FILE_FORMAT, uid);
		if (unlinkat(fd, fname, 0) < 0 && errno != ENOENT) {
			*error_r = t_strdup_printf("unlink(%s) failed: %m",
						   fname);
			return -1;
		}
	}
	return 0;
}
