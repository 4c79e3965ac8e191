#include "lib.h"
#include "array.h"
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

static bool box_dir_has_inode_of(const struct recall_box_dir *dir1,
				 const struct recall_box_dir *dir2)
{
	return dir1->dev == dir2->dev && dir1->ino == dir2->ino;
}

void recall_box_dirs_get(struct mailbox *box, pool_t pool,
			 struct recall_box_dirs *dirs_r)
{
	box_dir_get(box, MAILBOX_LIST_PATH_TYPE_MAILBOX, pool, &dirs_r->mails);
	box_dir_get(box, box_get_uids_type(box), pool, &dirs_r->uids);
	i_zero(&dirs_r->fnames);
	if (strcmp(box->storage->name, "maildir") == 0 &&
	    !box_dir_has_inode_of(&dirs_r->mails, &dirs_r->uids))
		p_array_init(&dirs_r->fnames, pool, 2);
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

static bool box_dirs_have_fnames(const struct recall_box_dirs *dirs1,
				 const struct recall_box_dirs *dirs2)
{
	return array_is_created(&dirs1->fnames) &&
		array_is_created(&dirs2->fnames);
}

bool recall_box_dirs_are_same(const struct recall_box_dirs *dirs1,
			      const struct recall_box_dirs *dirs2)
{
	return box_dir_is_same(&dirs1->mails, &dirs2->mails) &&
		(box_dirs_have_fnames(dirs1, dirs2) ||
		 box_dir_is_same(&dirs1->uids, &dirs2->uids));
}

void recall_box_dirs_found(struct recall_box_dirs *dirs, pool_t pool,
			   struct mail *mail)
{
	const char *fname;

	if (!array_is_created(&dirs->fnames) ||
	    mail_get_special(mail, MAIL_FETCH_STORAGE_ID, &fname) < 0 ||
	    *fname == '\0')
		return;
	fname = p_strdup(pool, fname);
	array_push_back(&dirs->fnames, &fname);
}

bool recall_box_dirs_have_found(const struct recall_box_dirs *dirs,
				const ARRAY_TYPE(seq_range) *uids,
				const struct recall_box_dirs *mail_dirs,
				struct mail *mail)
{
	const char *fname, *found;

	if (!box_dirs_have_fnames(dirs, mail_dirs)) {
		return seq_range_exists(uids, mail->uid) &&
			recall_box_dirs_are_same(dirs, mail_dirs);
	}
	if (array_is_empty(&dirs->fnames) ||
	    mail_get_special(mail, MAIL_FETCH_STORAGE_ID, &fname) < 0)
		return FALSE;
	array_foreach_elem(&dirs->fnames, found) {
		if (strcmp(found, fname) == 0)
			return recall_box_dirs_are_same(dirs, mail_dirs);
	}
	return FALSE;
}

bool recall_box_dirs_differ(const struct recall_box_dirs *dirs1,
			    const struct recall_box_dirs *dirs2)
{
	return dirs1->mails.path != NULL && dirs2->mails.path != NULL &&
		!box_dir_has_inode_of(&dirs1->mails, &dirs2->mails);
}
