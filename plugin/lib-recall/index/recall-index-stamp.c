#include "lib.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "recall-index-stamp.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* Time after which a directory's time shows the next change, whatever the
   clock's ticks are: as Dovecot's Maildir code has it. */
#define MAILDIR_SYNC_SECS 1

/* Beside letters and digits: a name of these means nothing but itself in a
   path. */
#define PLAIN_CHARS " _-+&,/"
/* A plain name that is not likely to be in the path of a user's mail. */
#define PROBE_NAME "recall-probe-of-a-path"

/* What is around a mailbox's name in the path of its directory or its log,
   below the root if it's there. */
struct path_form {
	/* NULL if that can't be said */
	char *before, *after;
	size_t before_len, after_len;
	bool known;
};

struct recall_index_root {
	struct mailbox_list *list;
	/* -1 if it can't be opened */
	int fd;
	char *path;
	size_t len;
	/* of PATH_TYPE_DIR and PATH_TYPE_INDEX */
	struct path_form dir, index;
};

struct recall_index_root *recall_index_root_open(struct mailbox_list *list)
{
	struct recall_index_root *root;
	const char *path;

	if (!mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_MAILBOX,
					&path))
		return NULL;
	root = i_new(struct recall_index_root, 1);
	root->list = list;
	root->path = i_strdup(path);
	root->len = strlen(path);
	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root;
}

void recall_index_root_close(struct recall_index_root **_root)
{
	struct recall_index_root *root = *_root;

	*_root = NULL;
	if (root == NULL)
		return;
	i_close_fd(&root->fd);
	i_free(root->path);
	i_free(root->dir.before);
	i_free(root->dir.after);
	i_free(root->index.before);
	i_free(root->index.after);
	i_free(root);
}

static bool name_is_plain(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (!i_isalnum(*p) && strchr(PLAIN_CHARS, *p) == NULL)
			return FALSE;
		if (*p == '/' && (p == name || p[1] == '/' || p[1] == '\0'))
			return FALSE;
	}
	return p != name && strncasecmp(name, "INBOX", 5) != 0;
}

/* The part of an absolute path that is below the root, or all of it. */
static const char *
root_get_below(const struct recall_index_root *root, const char *path)
{
	if (root != NULL && root->fd != -1 &&
	    strncmp(path, root->path, root->len) == 0 &&
	    path[root->len] == '/' && path[root->len + 1] != '\0' &&
	    path[root->len + 1] != '/')
		return path + root->len + 1;
	return path;
}

static void
form_learn(struct path_form *form, const struct recall_index_root *root,
	   enum mailbox_list_path_type type, const char *file)
{
	struct mailbox_list *list = root->list;
	const char *path, *name;

	form->known = TRUE;
	if ((strcmp(list->name, MAILBOX_LIST_NAME_FS) != 0 &&
	     strcmp(list->name, MAILBOX_LIST_NAME_MAILDIRPLUSPLUS) != 0) ||
	    mailbox_list_get_path(list, PROBE_NAME, type, &path) <= 0 ||
	    *path != '/')
		return;
	path = root_get_below(root, path);
	name = strstr(path, PROBE_NAME);
	if (name == NULL || strstr(name + 1, PROBE_NAME) != NULL)
		return;
	form->before = i_strdup_until(path, name);
	form->before_len = strlen(form->before);
	form->after = i_strconcat(name + strlen(PROBE_NAME), file, NULL);
	form->after_len = strlen(form->after);
}

static const char *form_get_path(const struct path_form *form, const char *name)
{
	size_t len = strlen(name);
	char *path;

	if (form->before_len + form->after_len == 0)
		return name;
	path = t_malloc_no0(form->before_len + len + form->after_len + 1);
	memcpy(path, form->before, form->before_len);
	memcpy(path + form->before_len, name, len);
	memcpy(path + form->before_len + len, form->after,
	       form->after_len + 1);
	return path;
}

/* Dovecot is asked for the path of one mailbox; those of all others whose names
   are plain differ in these. NULL if it has to be asked for this one. */
static const char *
root_get_plain(struct recall_index_root *root, const struct mailbox_list *list,
	       const char *name, enum mailbox_list_path_type type,
	       const char *file)
{
	struct path_form *form;

	if (root == NULL || root->list != list || !name_is_plain(name))
		return NULL;
	form = type == MAILBOX_LIST_PATH_TYPE_DIR ? &root->dir : &root->index;
	if (!form->known)
		form_learn(form, root, type, file);
	return form->before == NULL ? NULL : form_get_path(form, name);
}

/* The path of a file of the mailbox, or of its directory, for root_stat().
   Each type has one file. */
static bool
root_get_path(struct recall_index_root *root, struct mailbox_list *list,
	      const char *name, enum mailbox_list_path_type type,
	      const char *file, const char **path_r)
{
	const char *path;

	*path_r = root_get_plain(root, list, name, type, file);
	if (*path_r != NULL)
		return TRUE;
	if (mailbox_list_get_path(list, name, type, &path) <= 0 ||
	    *path != '/')
		return FALSE;
	if (*file != '\0')
		path = t_strconcat(path, file, NULL);
	*path_r = root_get_below(root, path);
	return TRUE;
}

static int root_stat(const struct recall_index_root *root, const char *path,
		     struct stat *st_r)
{
	return *path == '/' ? stat(path, st_r) :
		fstatat(root->fd, path, st_r, 0);
}

static uint64_t mix(uint64_t value, uint64_t next)
{
	/* SplitMix64 */
	value += next + 0x9e3779b97f4a7c15ULL;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
	return value ^ (value >> 31);
}

static uint64_t mix_stat(uint64_t value, const struct stat *st)
{
	value = mix(value, st->st_ino);
	value = mix(value, st->st_mtim.tv_sec);
	value = mix(value, st->st_mtim.tv_nsec);
	/* this one can't be set, by those who put back backups for example */
	value = mix(value, st->st_ctim.tv_sec);
	return mix(value, st->st_ctim.tv_nsec);
}

static uint64_t stamp_dir(uint64_t value, const struct recall_index_root *root,
			  const char *path, time_t before)
{
	struct stat st;

	if (root_stat(root, path, &st) < 0 ||
	    I_MAX(st.st_mtim.tv_sec, st.st_ctim.tv_sec) + MAILDIR_SYNC_SECS >=
	    before)
		return 0;
	return mix_stat(value, &st);
}

bool recall_index_is_dbox(const struct mail_storage *storage)
{
	return storage != NULL && (strcmp(storage->name, "sdbox") == 0 ||
				   strcmp(storage->name, "mdbox") == 0);
}

bool recall_index_has_flags(struct mailbox *box)
{
	return recall_index_is_dbox(box->storage) &&
		mailbox_get_private_flags_mask(box) == 0;
}

/* Beside the directory itself its parent counts, unless that is among those
   that were just looked at. */
static uint64_t
stamp_mailbox_dir(uint64_t value, const struct recall_index_root *root,
		  const char *path, const char *top, const char *last,
		  time_t before)
{
	const char *parent = strrchr(path, '/');

	/* mostly it's the one that all are in, or the one before */
	if (parent != NULL) {
		parent = t_strdup_until(path, parent);
		if (strcmp(parent, top) != 0 && strcmp(parent, last) != 0)
			value = stamp_dir(value, root, parent, before);
	}
	return value == 0 ? 0 : stamp_dir(value, root, path, before);
}

uint64_t recall_index_stamp_names(struct mailbox_list *list,
				  struct recall_index_root *root,
				  const char *names, size_t size,
				  time_t before)
{
	const char *name, *real, *path, *top, *last = "", *error;
	uint64_t value = 3;

	if (size == 0 || strcmp(list->name, MAILBOX_LIST_NAME_FS) != 0 ||
	    !recall_index_is_dbox(list->ns->storage) ||
	    !mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_MAILBOX,
					&top))
		return 0;
	value = stamp_dir(value, root, root != NULL && root->fd != -1 &&
			  strcmp(top, root->path) == 0 ? "." : top, before);
	for (name = names; value != 0 && name < names + size;
	     name += strlen(name) + 1) {
		real = *name == '/' ? name + 1 : name;
		path = root_get_plain(root, list, real,
				      MAILBOX_LIST_PATH_TYPE_DIR, "");
		if (path == NULL &&
		    ((!name_is_plain(real) &&
		      !mailbox_list_is_valid_name(list, real, &error)) ||
		     !root_get_path(root, list, real,
				    MAILBOX_LIST_PATH_TYPE_DIR, "", &path)))
			return 0;
		value = stamp_mailbox_dir(value, root, path, top, last, before);
		last = path;
	}
	return value;
}

void recall_index_stamp_root(struct mailbox_list *list, guid_128_t root_r)
{
	const char *path;
	uint64_t value = 0;

	if (mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_DIR, &path))
		value = recall_index_stamp_name(path);
	guid_128_empty(root_r);
	memcpy(root_r, &value, sizeof(value));
}

uint64_t recall_index_stamp_dirs(struct mailbox_list *list,
				 const struct recall_index_root *root,
				 const char *name)
{
	struct mail_storage *storage = list->ns->storage;
	uint64_t value;
	const char *path;

	if (recall_index_is_dbox(storage))
		return 1;
	if (storage == NULL || strcmp(storage->name, "maildir") != 0 ||
	    mailbox_list_get_path(list, name, MAILBOX_LIST_PATH_TYPE_MAILBOX,
				  &path) <= 0 || *path != '/')
		return 0;
	path = root_get_below(root, path);
	value = stamp_dir(2, root, t_strconcat(path, "/new", NULL),
			  time(NULL));
	return value == 0 ? 0 :
		stamp_dir(value, root, t_strconcat(path, "/cur", NULL),
			  time(NULL));
}

uint64_t recall_index_stamp_get(struct mailbox_list *list,
				struct recall_index_root *root,
				const char *name, uint64_t dirs,
				time_t *changed_r)
{
	const char *path;
	struct stat st;

	if (dirs == 0 ||
	    !root_get_path(root, list, name, MAILBOX_LIST_PATH_TYPE_INDEX,
			   "/"MAIL_INDEX_PREFIX".log", &path) ||
	    root_stat(root, path, &st) < 0)
		return 0;
	*changed_r = st.st_mtime;
	return mix(mix_stat(dirs, &st), st.st_size);
}

uint64_t recall_index_stamp_name(const char *name)
{
	uint64_t value = 1;

	for (; *name != '\0'; name++)
		value = mix(value, (unsigned char)*name);
	return value;
}
