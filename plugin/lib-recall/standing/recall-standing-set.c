#include "lib.h"
#include "buffer.h"
#include "recall-standing-file.h"
#include "recall-standing-set.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET_MAGIC "RCLSET1"

struct set_header {
	/* with its NUL */
	char magic[8];
	uint32_t count;
	uint32_t entry_size;
};

struct recall_standing_set {
	char *path;
	/* what the file was when it was mapped */
	struct stat st;
	void *map;
	size_t map_size;
	const struct recall_standing_entry *entries;
	unsigned int count;
	/* st is that of a damaged file */
	bool damaged;
};

static int entry_cmp(const void *p1, const void *p2)
{
	const struct recall_standing_entry *e1 = p1, *e2 = p2;

	if (e1->hash != e2->hash)
		return e1->hash < e2->hash ? -1 : 1;
	return memcmp(e1->recall_id, e2->recall_id, sizeof(e1->recall_id));
}

int recall_standing_set_write(const char *dir,
			      struct recall_standing_entry *entries,
			      unsigned int count, const char **error_r)
{
	const char *path = t_strconcat(dir, "/"RECALL_STANDING_SET_NAME, NULL);
	const char *temp_path = t_strconcat(path,
					RECALL_STANDING_NEW_SUFFIX, NULL);
	struct set_header header = {
		.magic = SET_MAGIC,
		.count = count,
		.entry_size = sizeof(*entries),
	};
	buffer_t *buf;

	qsort(entries, count, sizeof(*entries), entry_cmp);
	buf = t_buffer_create(sizeof(header) + count * sizeof(*entries));
	buffer_append(buf, &header, sizeof(header));
	buffer_append(buf, entries, count * sizeof(*entries));
	if (recall_standing_file_write(temp_path, buf->data, buf->used,
				       error_r) < 0)
		return -1;
	return recall_standing_file_rename(temp_path, path, error_r);
}

int recall_standing_set_remove(const char *dir, const char **error_r)
{
	const char *path = t_strconcat(dir, "/"RECALL_STANDING_SET_NAME, NULL);

	if (unlink(path) < 0 && errno != ENOENT) {
		*error_r = t_strdup_printf("unlink(%s) failed: %m", path);
		return -1;
	}
	return 0;
}

struct recall_standing_set *recall_standing_set_init(const char *dir)
{
	struct recall_standing_set *set = i_new(struct recall_standing_set, 1);

	set->path = i_strconcat(dir, "/"RECALL_STANDING_SET_NAME, NULL);
	return set;
}

static void set_unmap(struct recall_standing_set *set)
{
	if (set->map != NULL && munmap(set->map, set->map_size) < 0)
		i_error("munmap(%s) failed: %m", set->path);
	set->map = NULL;
	set->entries = NULL;
	set->count = 0;
}

void recall_standing_set_deinit(struct recall_standing_set **_set)
{
	struct recall_standing_set *set = *_set;

	*_set = NULL;
	if (set == NULL)
		return;
	set_unmap(set);
	i_free(set->path);
	i_free(set);
}

/* The file is never written in place, so that what was right when it was mapped
   stays right. */
static const char *set_check(const struct recall_standing_set *set)
{
	const struct set_header *header = set->map;
	const struct recall_standing_entry *entries = CONST_PTR_OFFSET(
		set->map, sizeof(*header));
	unsigned int i;

	if (set->map_size < sizeof(*header) ||
	    memcmp(header->magic, SET_MAGIC, sizeof(header->magic)) != 0 ||
	    header->entry_size != sizeof(*entries))
		return "it is no set of standing orders";
	if ((set->map_size - sizeof(*header)) / sizeof(*entries) !=
	    header->count ||
	    (set->map_size - sizeof(*header)) % sizeof(*entries) != 0)
		return "its size is wrong";
	for (i = 1; i < header->count; i++) {
		if (entry_cmp(&entries[i - 1], &entries[i]) >= 0)
			return "it is not sorted";
	}
	return NULL;
}

static int set_map(struct recall_standing_set *set, const char **error_r)
{
	const struct set_header *header;
	const char *reason;
	int fd;

	set_unmap(set);
	/* nothing that is there may hold up who saves mail */
	fd = open(set->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", set->path);
		return -1;
	}
	/* that of the file which is mapped */
	if (fstat(fd, &set->st) < 0) {
		*error_r = t_strdup_printf("fstat(%s) failed: %m", set->path);
		i_close_fd(&fd);
		return -1;
	}
	if (!S_ISREG(set->st.st_mode)) {
		*error_r = t_strdup_printf("%s is no file", set->path);
		i_close_fd(&fd);
		return -1;
	}
	set->map_size = set->st.st_size;
	if (set->map_size > 0) {
		set->map = mmap(NULL, set->map_size, PROT_READ, MAP_SHARED,
				fd, 0);
		if (set->map == MAP_FAILED) {
			*error_r = t_strdup_printf("mmap(%s) failed: %m",
						   set->path);
			set->map = NULL;
			i_close_fd(&fd);
			return -1;
		}
	}
	i_close_fd(&fd);
	reason = set->map == NULL ? "it is empty" : set_check(set);
	if (reason != NULL) {
		*error_r = t_strdup_printf("%s is damaged: %s", set->path,
					   reason);
		set_unmap(set);
		return -1;
	}
	header = set->map;
	set->entries = CONST_PTR_OFFSET(set->map, sizeof(*header));
	set->count = header->count;
	return 1;
}

static bool set_is_same(const struct recall_standing_set *set,
			const struct stat *st)
{
	return set->st.st_ino == st->st_ino && set->st.st_dev == st->st_dev &&
		set->st.st_size == st->st_size &&
		set->st.st_mtim.tv_sec == st->st_mtim.tv_sec &&
		set->st.st_mtim.tv_nsec == st->st_mtim.tv_nsec &&
		/* who may read it */
		set->st.st_ctim.tv_sec == st->st_ctim.tv_sec &&
		set->st.st_ctim.tv_nsec == st->st_ctim.tv_nsec;
}

int recall_standing_set_refresh(struct recall_standing_set *set,
				const char **error_r)
{
	struct stat st;
	int ret;

	*error_r = NULL;
	if (stat(set->path, &st) < 0) {
		if (errno == ENOENT) {
			set_unmap(set);
			set->damaged = FALSE;
			i_zero(&set->st);
			return 0;
		}
		i_zero(&st);
		if (set->damaged && set_is_same(set, &st))
			return -1;
		*error_r = t_strdup_printf("stat(%s) failed: %m", set->path);
		set_unmap(set);
		set->st = st;
		set->damaged = TRUE;
		return -1;
	}
	if (set_is_same(set, &st)) {
		if (set->damaged)
			return -1;
		return set->count > 0 ? 1 : 0;
	}
	set->st = st;
	ret = set_map(set, error_r);
	set->damaged = ret < 0;
	return ret > 0 && set->count == 0 ? 0 : ret;
}

static void
set_add_order(const struct recall_standing_entry *entry, time_t now,
	      buffer_t *recall_ids)
{
	if (entry->expires > (uint64_t)now) {
		buffer_append(recall_ids, entry->recall_id,
			      sizeof(entry->recall_id));
	}
}

void recall_standing_set_find(const struct recall_standing_set *set,
			      uint64_t hash, time_t now, buffer_t *recall_ids)
{
	unsigned int left = 0, right = set->count, middle;

	while (left < right) {
		middle = left + (right - left) / 2;
		if (set->entries[middle].hash < hash)
			left = middle + 1;
		else
			right = middle;
	}
	for (; left < set->count && set->entries[left].hash == hash; left++)
		set_add_order(&set->entries[left], now, recall_ids);
}

void recall_standing_set_get_all(const struct recall_standing_set *set,
				 time_t now, buffer_t *recall_ids)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		set_add_order(&set->entries[i], now, recall_ids);
}
