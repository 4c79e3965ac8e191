#include "lib.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "recall-index-stamp.h"

#include <sys/stat.h>
#include <time.h>

/* Time after which a directory's time tells of the next change, whatever the
   clock's ticks are: as Dovecot's Maildir code has it. */
#define MAILDIR_SYNC_SECS 1

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
	return mix(value, st->st_mtim.tv_nsec);
}

static uint64_t stamp_dir(uint64_t value, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 ||
	    st.st_mtim.tv_sec + MAILDIR_SYNC_SECS >= time(NULL))
		return 0;
	return mix_stat(value, &st);
}

uint64_t recall_index_stamp_dirs(struct mailbox_list *list, const char *name)
{
	struct mail_storage *storage = list->ns->storage;
	uint64_t value;
	const char *path;

	if (storage == NULL)
		return 0;
	if (strcmp(storage->name, "sdbox") == 0 ||
	    strcmp(storage->name, "mdbox") == 0)
		return 1;
	if (strcmp(storage->name, "maildir") != 0 ||
	    mailbox_list_get_path(list, name, MAILBOX_LIST_PATH_TYPE_MAILBOX,
				  &path) <= 0)
		return 0;
	value = stamp_dir(2, t_strconcat(path, "/new", NULL));
	return value == 0 ? 0 :
		stamp_dir(value, t_strconcat(path, "/cur", NULL));
}

uint64_t recall_index_stamp_get(struct mailbox_list *list, const char *name,
				uint64_t dirs, time_t *changed_r)
{
	const char *path;
	struct stat st;

	if (dirs == 0 ||
	    mailbox_list_get_path(list, name, MAILBOX_LIST_PATH_TYPE_INDEX,
				  &path) <= 0 ||
	    stat(t_strconcat(path, "/"MAIL_INDEX_PREFIX".log", NULL), &st) < 0)
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
