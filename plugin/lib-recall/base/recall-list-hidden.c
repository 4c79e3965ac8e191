#include "lib.h"
#include "buffer.h"
#include "dovecot-compat.h"
#include "str-sanitize.h"
#include "unichar.h"
#include "mailbox-list-private.h"
#include "recall-list-hidden.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* of directories in one another; Dovecot allows for fewer */
#define DEPTH_MAX 32
/* Links may lead to where they are, and then there is no end to it. Nobody has
   as many directories that Dovecot does not list. */
#define DIRS_MAX 10000

struct list_hidden {
	struct mailbox_list *list;
	const buffer_t *listed;
	/* where mailboxes are, and are listed from, NULL if it is the same */
	const char *root, *index_root;
	/* the directory, what stands before its mailboxes' names, and the one
	   that they are listed from */
	const char *path, *prefix, *index_path;
	int fd;
	/* how many have been looked into for mail */
	unsigned int dirs;
	recall_list_hidden_wanted_t *wanted;
	void *context;
	char *error;
};

static bool list_is_fs(const struct mailbox_list *list)
{
	return strcmp(list->name, MAILBOX_LIST_NAME_FS) == 0;
}

/* The directory of a mailbox, not one of what is in it. */
static bool hidden_may_be_box(struct mailbox_list *list, const char *fname)
{
	const char *maildir_name = recall_list_get_maildir_name(list);

	if (strcmp(fname, ".") == 0 || strcmp(fname, "..") == 0)
		return FALSE;
	/* not what Dovecot is just deleting */
	if (!list_is_fs(list))
		return *fname == '.' && fname[1] != '.';
	return strcmp(fname, maildir_name) != 0 &&
		(list->v.is_internal_name == NULL ||
		 !list->v.is_internal_name(list, fname));
}

/* Whether mail may be in a directory, or below it. */
static bool hidden_has_mail(struct list_hidden *look, int parent_fd,
			    const char *fname, unsigned int depth)
{
	const char *maildir_name = recall_list_get_maildir_name(look->list);
	int fd = openat(parent_fd, fname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	struct stat st;
	DIR *dir;
	bool found;

	if (fd == -1)
		return errno == EACCES;
	if (*maildir_name == '\0')
		maildir_name = "cur";
	/* of too many it isn't known */
	found = look->dirs++ >= DIRS_MAX ||
		fstatat(fd, maildir_name, &st, 0) == 0;
	if (found || !list_is_fs(look->list) || depth == DEPTH_MAX ||
	    (dir = fdopendir(fd)) == NULL) {
		i_close_fd(&fd);
		return found;
	}
	while (!found && (d = readdir(dir)) != NULL) {
		found = hidden_may_be_box(look->list, d->d_name) &&
			hidden_has_mail(look, fd, d->d_name, depth + 1);
	}
	(void)closedir(dir);
	return found;
}

/* Whether mailboxes in there are not listed, as there is no directory of
   indexes. */
static bool hidden_is_without_index(struct list_hidden *look, const char *fname)
{
	const char *path;
	struct stat st;

	if (look->index_path == NULL)
		return FALSE;
	path = t_strdup_printf("%s/%s", look->index_path, fname);
	if (stat(path, &st) == 0 || !ENOTFOUND(errno))
		return FALSE;
	return hidden_has_mail(look, look->fd, fname, 0) &&
		/* not if it was just then created, or renamed */
		stat(path, &st) < 0 && fstatat(look->fd, fname, &st, 0) == 0;
}

static const char *hidden_get_name(struct list_hidden *look, const char *fname)
{
	return !list_is_fs(look->list) ? fname + 1 :
		t_strconcat(look->prefix, fname, NULL);
}

static bool hidden_is_listed(struct list_hidden *look, const char *name)
{
	const char *listed;
	size_t pos;

	if (look->listed == NULL)
		return TRUE;
	for (pos = 0; pos < look->listed->used; pos += strlen(listed) + 1) {
		listed = CONST_PTR_OFFSET(look->listed->data, pos);
		if (strcmp(listed, name) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Why the mailbox is not listed, NULL if there is no reason. */
static const char *
hidden_get_reason(struct list_hidden *look, const struct dirent *d,
		  const char *name)
{
	const char *fname = d->d_name;
	struct stat st;
	bool is_link = FALSE;

	/* mostly they are directories, and known for that: a call each, in
	   Maildirs at each look, that would tell nothing else */
	if (d->d_type != DT_DIR) {
		if (fstatat(look->fd, fname, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return NULL;
		is_link = S_ISLNK(st.st_mode);
		if (is_link && fstatat(look->fd, fname, &st, 0) < 0) {
			/* programs lock their files with links that lead
			   nowhere */
			return list_is_fs(look->list) && *fname == '.' ? NULL :
				t_strdup_printf("stat() failed: %m");
		}
		if (!S_ISDIR(st.st_mode))
			return NULL;
	}
	if (!uni_utf8_str_is_valid(mailbox_list_get_vname(look->list, name))) {
		/* not if it was just then deleted */
		return fstatat(look->fd, fname, &st, 0) < 0 ? NULL :
			"Its name is not valid UTF-8";
	}
	if (is_link && !hidden_is_listed(look, name) &&
	    hidden_has_mail(look, look->fd, fname, 0))
		return "Dovecot does not list this symbolic link";
	return !hidden_is_without_index(look, fname) ? NULL :
		t_strdup_printf("Mailboxes are listed from %s, where it is not",
				look->index_path);
}

static void hidden_check_entry(struct list_hidden *look, const struct dirent *d)
{
	const char *name, *reason;

	if (d->d_type == DT_REG || !hidden_may_be_box(look->list, d->d_name))
		return;
	name = hidden_get_name(look, d->d_name);
	reason = hidden_get_reason(look, d, name);
	if (reason == NULL ||
	    (look->wanted != NULL && !look->wanted(name, look->context)))
		return;
	look->error = i_strdup_printf("%s/%s: %s", look->path,
				      str_sanitize(d->d_name, 255), reason);
}

static void hidden_check_dir(struct list_hidden *look)
{
	struct dirent *d;
	DIR *dir;

	dir = opendir(look->path);
	if (dir == NULL) {
		/* errors are told of by recall_list_check_mailbox() */
		return;
	}
	look->fd = dirfd(dir);
	while (look->error == NULL && (d = readdir(dir)) != NULL) T_BEGIN {
		hidden_check_entry(look, d);
	} T_END;
	(void)closedir(dir);
}

/* name is empty for the root, in which are the mailboxes of other layouts. */
static void hidden_check_box(struct list_hidden *look, const char *name)
{
	look->path = look->root;
	look->prefix = *name == '\0' ? "" : t_strconcat(name, "/", NULL);
	/* the INBOX's may be the root */
	if (*name != '\0' &&
	    (!list_is_fs(look->list) ||
	     mailbox_list_get_path(look->list, name, MAILBOX_LIST_PATH_TYPE_DIR,
				   &look->path) <= 0 ||
	     strcmp(look->path, look->root) == 0))
		return;
	look->index_path = look->index_root == NULL ? NULL :
		t_strconcat(look->index_root, "/",
			    recall_list_get_dir_prefix(look->list), name, NULL);
	hidden_check_dir(look);
}

int recall_list_hidden_check(struct mailbox_list *list, const buffer_t *listed,
			     recall_list_hidden_wanted_t *wanted, void *context,
			     const char **error_r)
{
	struct list_hidden look = {
		.list = list,
		.listed = listed,
		.wanted = wanted,
		.context = context,
	};
	const char *name;
	size_t pos;

	if ((!list_is_fs(list) &&
	     strcmp(list->name, MAILBOX_LIST_NAME_MAILDIRPLUSPLUS) != 0) ||
	    !mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_MAILBOX,
					&look.root))
		return 0;
	if (!recall_list_is_of_index(list) ||
	    !mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_INDEX,
					&look.index_root))
		look.index_root = NULL;
	hidden_check_box(&look, "");
	for (pos = 0; listed != NULL && look.error == NULL &&
	     pos < listed->used; pos += strlen(name) + 1) T_BEGIN {
		name = CONST_PTR_OFFSET(listed->data, pos);
		hidden_check_box(&look, name);
	} T_END;
	if (look.error == NULL)
		return 0;
	*error_r = t_strdup(look.error);
	i_free(look.error);
	return -1;
}
