#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "file-lock.h"
#include "mail-index.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mdbox-storage.h"
#include "mdbox-map-private.h"
#include "recall-rebuilds.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

/* Where rebuilds come in turn, the next one has begun by then. File servers'
   clocks differ, too. */
#define REBUILDS_QUIET_SECS 1

struct rebuilds_storage {
	struct mdbox_storage *storage;
	/* of the map */
	const char *index_path;
	/* as the index was when this scan began; ino is 0 if there was none */
	struct stat before;
	/* how often it had been rebuilt when something was found, and when it
	   was seen that it has to be */
	uint32_t count, due_count;
	/* it has been in this scan */
	bool scanned;
	/* when this scan began */
	bool locked;
	bool counted;
	bool due;
};

struct recall_rebuilds {
	pool_t pool;
	ARRAY(struct rebuilds_storage) storages;
	time_t begun;
};

struct recall_rebuilds *recall_rebuilds_init(pool_t pool)
{
	struct recall_rebuilds *rebuilds =
		p_new(pool, struct recall_rebuilds, 1);

	rebuilds->pool = pool;
	p_array_init(&rebuilds->storages, pool, 1);
	return rebuilds;
}

void recall_rebuilds_begin(struct recall_rebuilds *rebuilds)
{
	struct rebuilds_storage *rs;

	rebuilds->begun = time(NULL);
	array_foreach_modifiable(&rebuilds->storages, rs)
		rs->scanned = FALSE;
}

static void rebuilds_stat(const struct rebuilds_storage *rs, struct stat *st_r)
{
	if (stat(rs->index_path, st_r) < 0)
		i_zero(st_r);
}

static bool rebuilds_is_locked(const struct rebuilds_storage *rs)
{
	const struct mail_storage *storage =
		&rs->storage->storage.storage;
	const struct file_lock_settings set = {
		.lock_method = storage->set->parsed_lock_method,
	};
	const char *log_path = t_strconcat(rs->index_path, ".log", NULL);
	struct file_lock *lock;
	struct stat st;
	const char *error;
	int fd, ret;

	if (set.lock_method == FILE_LOCK_METHOD_DOTLOCK)
		return stat(t_strconcat(log_path, ".lock", NULL), &st) == 0;
	fd = open(log_path, O_RDONLY);
	if (fd == -1)
		return FALSE;
	ret = file_try_lock(fd, log_path, F_RDLCK, &set, &lock, &error);
	if (ret > 0)
		file_unlock(&lock);
	i_close_fd(&fd);
	return ret == 0;
}

static void rebuilds_begin_storage(struct recall_rebuilds *rebuilds,
				   struct mdbox_storage *storage)
{
	struct rebuilds_storage *rs, *found = NULL;

	array_foreach_modifiable(&rebuilds->storages, rs) {
		if (rs->storage == storage)
			found = rs;
	}
	if (found == NULL) {
		found = array_append_space(&rebuilds->storages);
		found->storage = storage;
		found->index_path = p_strconcat(rebuilds->pool,
			storage->map->index_path,
			"/"MDBOX_GLOBAL_INDEX_PREFIX, NULL);
	}
	if (found->scanned)
		return;
	found->scanned = TRUE;
	rebuilds_stat(found, &found->before);
	found->locked = rebuilds_is_locked(found);
}

void recall_rebuilds_begin_ns(struct recall_rebuilds *rebuilds,
			      const struct mail_namespace *ns)
{
	struct mail_storage *storage;

	array_foreach_elem(&ns->all_storages, storage) T_BEGIN {
		if (strcmp(storage->name, MDBOX_STORAGE_NAME) == 0) {
			rebuilds_begin_storage(rebuilds,
					       MDBOX_STORAGE(storage));
		}
	} T_END;
}

/* Whether it has been since it was due. If not, the next sync does it. */
static bool rebuilds_is_done(struct rebuilds_storage *rs)
{
	struct mdbox_map *map = rs->storage->map;
	/* each rebuild sets it */
	bool fscked = mail_index_reset_fscked(map->index), done = FALSE;
	uint32_t count;

	if (!fscked && !mdbox_map_is_fscked(map) &&
	    !recall_mdbox_is_corrupted(rs->storage)) {
		rs->due = FALSE;
		return FALSE;
	}
	if (mdbox_map_refresh(map) == 0) {
		count = mdbox_map_get_rebuild_count(map);
		done = rs->due && count != rs->due_count;
		rs->due = TRUE;
		rs->due_count = count;
	}
	if (fscked && !done)
		recall_mdbox_set_corrupted(rs->storage, "map was fsck'd");
	return done && mdbox_map_is_fscked(map);
}

static void rebuilds_unset_flag(struct mdbox_map *map)
{
	struct mdbox_map_atomic_context *atomic = mdbox_map_atomic_begin(map);

	if (mdbox_map_atomic_lock(atomic, "rebuilt") == 0) {
		mdbox_map_atomic_unset_fscked(atomic);
		mdbox_map_atomic_set_success(atomic);
	}
	/* otherwise it is rebuilt once more */
	(void)mdbox_map_atomic_finish(&atomic);
}

void recall_rebuilds_put_down(struct recall_rebuilds *rebuilds,
			      struct mailbox *box)
{
	struct rebuilds_storage *rs;

	array_foreach_modifiable(&rebuilds->storages, rs) {
		if (&rs->storage->storage.storage == box->storage &&
		    rs->storage->map->view != NULL && rebuilds_is_done(rs))
			rebuilds_unset_flag(rs->storage->map);
	}
}

static bool
rebuilds_is_same(const struct stat *st, const struct stat *before)
{
	return st->st_ino == before->st_ino && st->st_dev == before->st_dev &&
		ST_MTIME_NSEC(*st) == ST_MTIME_NSEC(*before) &&
		st->st_mtime == before->st_mtime;
}

/* Dovecot writes the index anew now and then, which sets no flag. */
static bool rebuilds_has_flag(const struct rebuilds_storage *rs)
{
	struct mail_index_header hdr;
	bool has = FALSE;
	int fd;

	fd = open(rs->index_path, O_RDONLY);
	if (fd == -1)
		return FALSE;
	if (pread(fd, &hdr, sizeof(hdr), 0) == (ssize_t)sizeof(hdr))
		has = (hdr.flags & MAIL_INDEX_HDR_FLAG_FSCKD) != 0;
	i_close_fd(&fd);
	return has;
}

static bool rebuilds_is_over(const struct recall_rebuilds *rebuilds,
			     const struct rebuilds_storage *rs)
{
	struct stat st;

	rebuilds_stat(rs, &st);
	if (rs->locked || !rebuilds_is_same(&st, &rs->before) ||
	    rebuilds_is_locked(rs))
		return FALSE;
	return st.st_mtime < rebuilds->begun - REBUILDS_QUIET_SECS ||
		!rebuilds_has_flag(rs);
}

bool recall_rebuilds_are_over(struct recall_rebuilds *rebuilds)
{
	const struct rebuilds_storage *rs;
	bool over = TRUE;

	array_foreach(&rebuilds->storages, rs) T_BEGIN {
		if (rs->scanned && !rebuilds_is_over(rebuilds, rs))
			over = FALSE;
	} T_END;
	return over;
}

/* 0 if there is no map, or it can't be read. */
static uint32_t rebuilds_get_count(const struct rebuilds_storage *rs)
{
	const struct mdbox_map_mail_index_header *hdr;
	struct mail_index *index;
	struct mail_index_view *view;
	const void *data;
	size_t size;
	uint32_t ext_id, count = 0;

	index = mail_index_alloc(rs->storage->storage.storage.event,
				 rs->storage->map->index_path,
				 MDBOX_GLOBAL_INDEX_PREFIX);
	if (mail_index_open(index, MAIL_INDEX_OPEN_FLAG_NEVER_IN_MEMORY |
			    MAIL_INDEX_OPEN_FLAG_READONLY) > 0) {
		view = mail_index_view_open(index);
		if (mail_index_ext_lookup(index, "map", &ext_id)) {
			mail_index_get_header_ext(view, ext_id, &data, &size);
			hdr = data;
			if (size >= sizeof(*hdr))
				count = hdr->rebuild_count;
		}
		mail_index_view_close(&view);
		mail_index_close(index);
	}
	mail_index_free(&index);
	return count;
}

void recall_rebuilds_found(struct recall_rebuilds *rebuilds)
{
	struct rebuilds_storage *rs;

	array_foreach_modifiable(&rebuilds->storages, rs) {
		if (rs->counted)
			continue;
		rs->counted = TRUE;
		rs->count = rebuilds_get_count(rs);
	}
}

bool recall_rebuilds_have_been(struct recall_rebuilds *rebuilds)
{
	const struct rebuilds_storage *rs;

	array_foreach(&rebuilds->storages, rs) {
		if (rs->counted && rebuilds_get_count(rs) != rs->count)
			return TRUE;
	}
	return FALSE;
}
