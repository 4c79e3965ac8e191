#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "mail-index-private.h"
#include "mail-storage-private.h"
#include "sdbox-storage.h"
#include "recall-sdbox-dir.h"
#include "recall-sdbox-left.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct left_link {
	dev_t dev;
	ino_t ino;
	/* a file that is a link to it was found */
	bool found;
};
ARRAY_DEFINE_TYPE(left_link, struct left_link);

static bool box_is_sdbox(const struct mailbox *box)
{
	return strcmp(box->storage->name, SDBOX_STORAGE_NAME) == 0;
}

/* Files of their own, which would be left. */
static bool box_has_attachments(struct mailbox *box)
{
	const struct dbox_storage *storage = DBOX_STORAGE(box->storage);

	return storage->attachment_dir != NULL;
}

static bool left_stat_linked(struct mailbox *src, uint32_t uid,
			     struct stat *st_r)
{
	bool linked;

	T_BEGIN {
		linked = stat(t_strdup_printf("%s/"SDBOX_MAIL_FILE_FORMAT,
					      mailbox_get_path(src), uid),
			      st_r) == 0 && st_r->st_nlink > 1;
	} T_END;
	return linked;
}

/* The array may be on the data stack, so it grows in the caller's frame. */
static void left_get_links(struct mailbox *src,
			   const ARRAY_TYPE(seq_range) *uids,
			   ARRAY_TYPE(left_link) *links)
{
	struct left_link *link;
	struct seq_range_iter iter;
	struct stat st;
	unsigned int n = 0;
	uint32_t uid;

	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (left_stat_linked(src, uid, &st)) {
			link = array_append_space(links);
			link->dev = st.st_dev;
			link->ino = st.st_ino;
		}
	}
}

static bool left_find_link(ARRAY_TYPE(left_link) *links, const struct stat *st)
{
	struct left_link *link;

	array_foreach_modifiable(links, link) {
		if (!link->found && link->ino == st->st_ino &&
		    CMP_DEV_T(link->dev, st->st_dev)) {
			link->found = TRUE;
			return TRUE;
		}
	}
	return FALSE;
}

/* Returns FALSE if one is none of these links. */
static bool
left_find_files(DIR *dir, uint32_t next_uid, ARRAY_TYPE(left_link) *links,
		ARRAY_TYPE(seq_range) *found)
{
	const struct dirent *d;
	struct stat st;
	const char *uid_str;
	uint32_t uid;

	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		if (!str_begins_with(d->d_name, SDBOX_MAIL_FILE_PREFIX))
			continue;
		uid_str = d->d_name + strlen(SDBOX_MAIL_FILE_PREFIX);
		if (str_to_uint32(uid_str, &uid) < 0 || uid < next_uid)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) < 0 ||
		    !left_find_link(links, &st))
			return FALSE;
		seq_range_array_add(found, uid);
	}
	return errno == 0;
}

/* The index is locked: nobody else is giving files their names. */
static void left_delete_locked(struct mailbox *dest, DIR *dir,
			       const struct mail_index_header *hdr,
			       ARRAY_TYPE(left_link) *links)
{
	ARRAY_TYPE(seq_range) found;
	struct seq_range_iter iter;
	const char *fname;
	unsigned int n = 0;
	uint32_t uid;

	t_array_init(&found, 4);
	if ((hdr->flags & (MAIL_INDEX_HDR_FLAG_CORRUPTED |
			   MAIL_INDEX_HDR_FLAG_FSCKD)) != 0 ||
	    !left_find_files(dir, hdr->next_uid, links, &found))
		return;
	seq_range_array_iter_init(&iter, &found);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		fname = t_strdup_printf(SDBOX_MAIL_FILE_FORMAT, uid);
		if (unlinkat(dirfd(dir), fname, 0) < 0 && errno != ENOENT) {
			e_warning(dest->event, "recall: unlink(%s) failed: %m",
				  fname);
		}
	}
}

static void left_delete(struct mailbox *dest, DIR *dir, struct mailbox *src,
			const ARRAY_TYPE(seq_range) *uids)
{
	struct mail_index_sync_ctx *sync_ctx;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	ARRAY_TYPE(left_link) links;

	t_array_init(&links, 4);
	left_get_links(src, uids, &links);
	if (array_is_empty(&links) ||
	    mail_index_sync_begin(dest->index, &sync_ctx, &view, &trans,
				  0) <= 0)
		return;
	left_delete_locked(dest, dir, mail_index_get_header(view), &links);
	mail_index_sync_rollback(&sync_ctx);
}

/* They begin where the index ends. */
static bool left_is_there(struct mailbox *dest, int fd)
{
	const char *fname;
	struct stat st;

	fname = t_strdup_printf(SDBOX_MAIL_FILE_FORMAT,
				mail_index_get_header(dest->view)->next_uid);
	return fstatat(fd, fname, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void recall_sdbox_left_delete(struct mailbox *dest, struct mailbox *src,
			      const ARRAY_TYPE(seq_range) *uids)
{
	DIR *dir;
	int fd;

	if (!box_is_sdbox(dest) || !box_is_sdbox(src) ||
	    box_has_attachments(dest) ||
	    !recall_sdbox_dir_open(dest, &fd) || fd == -1)
		return;
	if (!left_is_there(dest, fd) || (dir = fdopendir(fd)) == NULL) {
		i_close_fd(&fd);
		return;
	}
	left_delete(dest, dir, src, uids);
	(void)closedir(dir);
}
