#include "lib.h"
#include "mail-storage-private.h"
#include "recall-box-dirs.h"

#include <sys/stat.h>

static void box_dir_get(struct mailbox *box, enum mailbox_list_path_type type,
			pool_t pool, struct recall_box_dir *dir_r)
{
	const char *path;
	struct stat st;

	i_zero(dir_r);
	if (mailbox_get_path_to(box, type, &path) <= 0 || stat(path, &st) < 0)
		return;
	dir_r->path = p_strdup(pool, path);
	dir_r->dev = st.st_dev;
	dir_r->ino = st.st_ino;
}

/* Maildir has them in its uidlist. With dbox it's the index that has all. */
static enum mailbox_list_path_type box_get_uids_type(struct mailbox *box)
{
	return strcmp(box->storage->name, "maildir") == 0 ?
		MAILBOX_LIST_PATH_TYPE_CONTROL : MAILBOX_LIST_PATH_TYPE_INDEX;
}

void recall_box_dirs_get(struct mailbox *box, pool_t pool,
			 struct recall_box_dirs *dirs_r)
{
	box_dir_get(box, MAILBOX_LIST_PATH_TYPE_MAILBOX, pool, &dirs_r->mails);
	box_dir_get(box, box_get_uids_type(box), pool, &dirs_r->uids);
}

static bool box_dir_has_inode_of(const struct recall_box_dir *dir1,
				 const struct recall_box_dir *dir2)
{
	return dir1->dev == dir2->dev && dir1->ino == dir2->ino;
}

static bool box_dir_is_same(const struct recall_box_dir *dir1,
			    const struct recall_box_dir *dir2)
{
	struct stat st1, st2;

	/* What was renamed, or deleted and made anew, since it was looked at is
	   none that has two names. */
	return dir1->path != NULL && dir2->path != NULL &&
		box_dir_has_inode_of(dir1, dir2) &&
		stat(dir1->path, &st1) == 0 && stat(dir2->path, &st2) == 0 &&
		st1.st_dev == st2.st_dev && st1.st_ino == st2.st_ino;
}

bool recall_box_dirs_are_same(const struct recall_box_dirs *dirs1,
			      const struct recall_box_dirs *dirs2)
{
	return box_dir_is_same(&dirs1->mails, &dirs2->mails) &&
		box_dir_is_same(&dirs1->uids, &dirs2->uids);
}

bool recall_box_dirs_differ(const struct recall_box_dirs *dirs1,
			    const struct recall_box_dirs *dirs2)
{
	return dirs1->mails.path != NULL && dirs2->mails.path != NULL &&
		!box_dir_has_inode_of(&dirs1->mails, &dirs2->mails);
}
