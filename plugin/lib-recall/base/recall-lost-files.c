#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "seq-range-array.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "mdbox-storage.h"
#include "mdbox-map-private.h"
#include "sdbox-storage.h"
#include "recall-lost-files.h"
#include "recall-lost-refs.h"

#include <dirent.h>
#include <sys/stat.h>

/* An index that has given out more UIDs since it was lost would have come to
   that of a file: mailboxes have messages from the beginning. */
#define SDBOX_UIDS_MAX 4096

struct lost_files {
	struct mailbox *box;
	/* of the files' names, before their numbers */
	const char *prefix;
	/* when the index was begun */
	time_t began;
	/* numbers from here on are not known */
	uint32_t next;
	/* if created: nor are those that are not among these */
	ARRAY_TYPE(seq_range) numbers;
	/* what was found that is older than the index */
	const char *found;
};

static bool
lost_files_have(const struct lost_files *lost, int dir_fd, const char *fname)
{
	struct stat st;
	uint32_t number;

	if (strncmp(fname, lost->prefix, strlen(lost->prefix)) != 0 ||
	    str_to_uint32(fname + strlen(lost->prefix), &number) < 0)
		return FALSE;
	if (array_is_created(&lost->numbers) ?
	    seq_range_exists(&lost->numbers, number) : number < lost->next)
		return FALSE;
	/* not the time of its data, which a copy by a hard link has as well;
	   an empty one, as of a process that was killed, is known to no index
	   after a rebuild either */
	return fstatat(dir_fd, fname, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && st.st_size > 0 &&
		st.st_ctime < lost->began;
}

static int lost_files_find(struct lost_files *lost, const char *path)
{
	struct mailbox *box = lost->box;
	struct dirent *d;
	DIR *dir;

	if (lost->found != NULL)
		return 0;
	dir = opendir(path);
	if (dir == NULL) {
		if (ENOTFOUND(errno))
			return 0;
		mailbox_set_critical(box, "opendir(%s) failed: %m", path);
		return -1;
	}
	while (lost->found == NULL && (d = readdir(dir)) != NULL) {
		if (lost_files_have(lost, dirfd(dir), d->d_name)) {
			lost->found = t_strdup_printf(
				"%s/%s, and does not know it", path,
				d->d_name);
		}
	}
	(void)closedir(dir);
	return 0;
}

static int sdbox_find(struct lost_files *lost)
{
	const struct mail_index_header *hdr =
		mail_index_get_header(lost->box->view);
	const char *path;

	if (hdr->next_uid > SDBOX_UIDS_MAX)
		return 0;
	lost->prefix = SDBOX_MAIL_FILE_PREFIX;
	lost->began = hdr->indexid;
	lost->next = hdr->next_uid;
	if (lost_files_find(lost, mailbox_get_path(lost->box)) < 0)
		return -1;
	if (mailbox_get_path_to(lost->box, MAILBOX_LIST_PATH_TYPE_ALT_MAILBOX,
				&path) <= 0)
		return 0;
	return lost_files_find(lost, path);
}

/* Which files the map knows. Not by its own view, which Dovecot's functions
   expect to find as they left it. */
static int mdbox_read_map(struct lost_files *lost, struct mdbox_map *map)
{
	struct mail_index_view *view;
	const struct mdbox_map_mail_index_record *rec;
	const void *data;
	uint32_t seq, count;
	int ret;

	t_array_init(&lost->numbers, 32);
	ret = mdbox_map_open(map);
	if (ret <= 0) {
		lost->began = (time_t)(uint32_t)-1;
		return ret;
	}
	if (mail_index_refresh(map->index) < 0) {
		mail_index_reset_error(map->index);
		mailbox_set_critical(lost->box, "Reading the map failed");
		return -1;
	}
	view = mail_index_view_open(map->index);
	lost->began = mail_index_get_header(view)->indexid;
	count = mail_index_view_get_messages_count(view);
	for (seq = 1; seq <= count; seq++) {
		mail_index_lookup_ext(view, seq, map->map_ext_id, &data, NULL);
		rec = data;
		if (rec != NULL)
			seq_range_array_add(&lost->numbers, rec->file_id);
	}
	mail_index_view_close(&view);
	return 0;
}

static int mdbox_find(struct lost_files *lost)
{
	struct mdbox_storage *storage = MDBOX_STORAGE(lost->box->storage);

	int ret;

	lost->prefix = MDBOX_MAIL_FILE_PREFIX;
	if (mdbox_read_map(lost, storage->map) < 0 ||
	    lost_files_find(lost, storage->storage_dir) < 0 ||
	    (storage->alt_storage_dir != NULL &&
	     lost_files_find(lost, storage->alt_storage_dir) < 0))
		return -1;
	if (lost->found != NULL)
		return 0;
	ret = recall_lost_refs_check(lost->box);
	if (ret > 0)
		lost->found = "its directory, and there are messages that are "
			"in no mailbox";
	return ret < 0 ? -1 : 0;
}

static int lost_files_check(struct lost_files *lost)
{
	const char *name = lost->box->storage->name;

	lost->found = NULL;
	if (strcmp(name, SDBOX_STORAGE_NAME) == 0)
		return sdbox_find(lost);
	if (strcmp(name, MDBOX_STORAGE_NAME) == 0)
		return mdbox_find(lost);
	return 0;
}

int recall_lost_files_check(struct mailbox *box)
{
	struct lost_files lost = { .box = box };
	int ret;

	i_assert(box->opened);

	T_BEGIN {
		ret = lost_files_check(&lost);
		/* 2.4's sdbox is rebuilt then */
		if (lost.found != NULL) {
			ret = mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ);
			if (ret == 0)
				ret = lost_files_check(&lost);
		}
		if (lost.found != NULL && ret == 0) {
			mailbox_set_critical(box, "Its index is newer than "
				"%s: it was lost. Run doveadm force-resync "
				"-u %s %s", lost.found,
				box->storage->user->username,
				mailbox_get_vname(box));
			ret = -1;
		}
	} T_END;
	return ret;
}
