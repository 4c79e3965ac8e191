#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "crc32.h"
#include "file-lock.h"
#include "read-full.h"
#include "write-full.h"
#include "mailbox-list.h"
#include "failpoint.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-stamp.h"

#include <stdio.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TIMEOUT_SECS 30
/* The tail may become as long as this, and an eighth of the base more: that
   is what a lookup has to check, and what saving pays for a compaction. */
#define TAIL_MAX (8 * 1024)
/* Records in one block. */
#define BLOCK_RECORDS_MAX 65536

static void
block_begin(buffer_t *dest, size_t *pos_r, enum recall_index_block_type type,
	    const guid_128_t guid, uint32_t uid_validity)
{
	struct recall_index_block block = {
		.type = type,
		.uid_validity = uid_validity,
	};

	guid_128_copy(block.guid, guid);
	*pos_r = dest->used;
	buffer_append(dest, &block, sizeof(block));
}

static void block_end(buffer_t *dest, size_t pos)
{
	uint32_t size = dest->used + sizeof(size) - pos, crc;
	const size_t start = offsetof(struct recall_index_block, type);

	crc = crc32_data(CONST_PTR_OFFSET(dest->data, pos + start),
			 dest->used - pos - start);
	buffer_append(dest, &size, sizeof(size));
	buffer_write(dest, pos + offsetof(struct recall_index_block, size),
		     &size, sizeof(size));
	buffer_write(dest, pos + offsetof(struct recall_index_block, crc),
		     &crc, sizeof(crc));
}

void recall_index_block_mails(buffer_t *dest, const guid_128_t guid,
			      uint32_t uid_validity,
			      const struct recall_index_rec *recs,
			      unsigned int count)
{
	unsigned int i;
	size_t pos = 0;

	for (i = 0; i < count; i++) {
		if (i % BLOCK_RECORDS_MAX == 0) {
			block_begin(dest, &pos, RECALL_INDEX_BLOCK_MAILS, guid,
				    uid_validity);
		}
		buffer_append(dest, &recs[i].hash, sizeof(recs[i].hash));
		buffer_append(dest, &recs[i].uid, sizeof(recs[i].uid));
		if ((i + 1) % BLOCK_RECORDS_MAX == 0 || i + 1 == count)
			block_end(dest, pos);
	}
}

void recall_index_block_stamp(buffer_t *dest, const guid_128_t guid,
			      uint32_t uid_validity, uint64_t name,
			      uint64_t stamp)
{
	size_t pos;

	block_begin(dest, &pos, RECALL_INDEX_BLOCK_STAMP, guid, uid_validity);
	buffer_append(dest, &name, sizeof(name));
	buffer_append(dest, &stamp, sizeof(stamp));
	block_end(dest, pos);
}

void recall_index_block_names(buffer_t *dest,
			      const struct recall_index_names *names)
{
	size_t pos;

	block_begin(dest, &pos, RECALL_INDEX_BLOCK_NAMES, names->root, 0);
	buffer_append(dest, &names->stamp, sizeof(names->stamp));
	buffer_append(dest, names->names, names->size);
	block_end(dest, pos);
}

/* Opens the file, which is made if it's not there. */
static int
open_create(struct mailbox_list *list, const char *path, const char **error_r)
{
	struct mailbox_permissions perm;
	mode_t old_mask;
	int fd;

	fd = open(path, O_RDWR);
	if (fd == -1 && errno == ENOENT) {
		if (mailbox_list_mkdir_missing_list_index_root(list) < 0) {
			*error_r = mailbox_list_get_last_internal_error(list,
									NULL);
			return -1;
		}
		mailbox_list_get_root_permissions(list, &perm);
		old_mask = umask(0);
		fd = open(path, O_RDWR | O_CREAT, perm.file_create_mode);
		umask(old_mask);
		if (fd != -1 && perm.file_create_gid != (gid_t)-1 &&
		    fchown(fd, (uid_t)-1, perm.file_create_gid) < 0) {
			/* it's of no use to others then; our own it is */
		}
	}
	if (fd == -1)
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
	return fd;
}

/* Returns 1 if locked, 0 if somebody else has the lock (wait = FALSE). */
static int lock_fd(int fd, const char *path, bool wait,
		   struct file_lock **lock_r, const char **error_r)
{
	const struct file_lock_settings set = {
		.lock_method = FILE_LOCK_METHOD_FCNTL,
	};
	int ret;

	ret = wait ? file_wait_lock(fd, path, F_WRLCK, &set, LOCK_TIMEOUT_SECS,
				    lock_r, error_r) :
		file_try_lock(fd, path, F_WRLCK, &set, lock_r, error_r);
	if (ret == 0 && wait) {
		*error_r = t_strdup_printf("Timeout while locking %s", path);
		return -1;
	}
	return ret;
}

/* Whether the path still names the open file. */
static bool is_current(int fd, const char *path, struct stat *st_r)
{
	struct stat st;

	return fstat(fd, st_r) == 0 && stat(path, &st) == 0 &&
		st.st_ino == st_r->st_ino && CMP_DEV_T(st.st_dev, st_r->st_dev);
}

/* Opens and locks the index for writing. Returns -1 on errors. */
static int
open_locked(struct mailbox_list *list, const char *path, struct stat *st_r,
	    struct file_lock **lock_r, const char **error_r)
{
	unsigned int i;
	int fd, ret;

	for (i = 0; i < 100; i++) {
		fd = open_create(list, path, error_r);
		if (fd == -1)
			return -1;
		ret = lock_fd(fd, path, TRUE, lock_r, error_r);
		if (ret < 0) {
			i_close_fd(&fd);
			return -1;
		}
		if (is_current(fd, path, st_r))
			return fd;
		/* compacted just now */
		file_lock_free(lock_r);
		i_close_fd(&fd);
	}
	*error_r = t_strdup_printf("%s is replaced all the time", path);
	return -1;
}

static void close_locked(int *fd, struct file_lock **lock)
{
	file_unlock(lock);
	i_close_fd(fd);
}

static int write_empty(int fd, const char *path, const char **error_r)
{
	struct recall_index_header hdr = {
		.magic = RECALL_INDEX_MAGIC,
		.version = RECALL_INDEX_VERSION,
		.base_size = sizeof(hdr),
	};

	hdr.crc = recall_index_header_crc(&hdr, "");
	if (ftruncate(fd, 0) < 0 ||
	    pwrite_full(fd, &hdr, sizeof(hdr), 0) < 0) {
		*error_r = t_strdup_printf("write(%s) failed: %m", path);
		return -1;
	}
	return 0;
}

/* The end of the last block, all of which are read for it. */
static uoff_t find_end(int fd, uoff_t pos, uoff_t size)
{
	unsigned char *data;
	size_t len = size - pos, used = 0, block;

	data = i_malloc(len + 1);
	if (pread_full(fd, data, len, pos) > 0) {
		while ((block = recall_index_block_check(data + used,
							 len - used)) > 0)
			used += block;
	}
	i_free(data);
	return pos + used;
}

/* TRUE if the file ends with a whole block: then those before it are whole,
   too, as its writer has seen to. */
static bool ends_well(int fd, uoff_t tail, uoff_t size)
{
	unsigned char *data;
	uint32_t len;
	bool ret;

	if (size == tail)
		return TRUE;
	if (size - tail < RECALL_INDEX_BLOCK_MIN ||
	    pread_full(fd, &len, sizeof(len), size - sizeof(len)) <= 0 ||
	    len < RECALL_INDEX_BLOCK_MIN || len > size - tail)
		return FALSE;
	data = i_malloc(len);
	ret = pread_full(fd, data, len, size - len) > 0 &&
		recall_index_block_check(data, len) == len;
	i_free(data);
	return ret;
}

/* Whether those who read it will find the base whole. */
static bool base_is_whole(int fd, const struct recall_index_header *hdr)
{
	size_t size = hdr->boxes * sizeof(struct recall_index_table);
	struct recall_index_table *table = i_malloc(size + 1);
	bool ret;

	ret = (size == 0 || pread_full(fd, table, size, sizeof(*hdr)) > 0) &&
		recall_index_table_check(hdr, table);
	i_free(table);
	return ret;
}

/* Returns where to write the next block, and where the first one is that came
   after a compaction. */
static int prepare_append(int fd, const char *path, const struct stat *st,
			  uoff_t *tail_r, uoff_t *end_r, const char **error_r)
{
	struct recall_index_header hdr;

	if (st->st_size > RECALL_INDEX_SIZE_MAX ||
	    pread_full(fd, &hdr, sizeof(hdr), 0) <= 0 ||
	    !recall_index_header_check(&hdr, st->st_size) ||
	    !base_is_whole(fd, &hdr)) {
		*tail_r = *end_r = sizeof(hdr);
		return write_empty(fd, path, error_r);
	}
	*tail_r = hdr.base_size + hdr.kept;
	*end_r = ends_well(fd, hdr.base_size, st->st_size) ?
		(uoff_t)st->st_size :
		find_end(fd, hdr.base_size, st->st_size);
	if (*end_r < (uoff_t)st->st_size && ftruncate(fd, *end_r) < 0) {
		*error_r = t_strdup_printf("ftruncate(%s) failed: %m", path);
		return -1;
	}
	return 0;
}

#ifdef RECALL_FAILPOINTS
/* Leaves what a power cut does. */
static void write_incomplete(int fd, const buffer_t *blocks, uoff_t end)
{
	(void)pwrite_full(fd, blocks->data, blocks->used / 2, end);
	RECALL_FAILPOINT("index-incomplete");
}
#else
#  define write_incomplete(fd, blocks, end)
#endif

static int write_blocks(int fd, const char *path, const buffer_t *blocks,
			uoff_t end, const char **error_r)
{
	write_incomplete(fd, blocks, end);
	if (pwrite_full(fd, blocks->data, blocks->used, end) == 0)
		return 0;
	*error_r = t_strdup_printf("write(%s) failed: %m", path);
	/* the next one finds it incomplete if this does not work either */
	if (ftruncate(fd, end) < 0)
		i_warning("ftruncate(%s) failed: %m", path);
	return -1;
}

/* file may be NULL. Returns 1, 0 if file is not what is there, -1 on errors. */
static int append_blocks(const struct recall_index_file *file,
			 struct mailbox_list *list, const char *path,
			 const buffer_t *blocks, const char **error_r)
{
	struct file_lock *lock;
	struct stat st;
	uoff_t tail = 0, end = 0;
	int fd, ret;

	fd = open_locked(list, path, &st, &lock, error_r);
	if (fd == -1)
		return -1;
	RECALL_FAILPOINT("index-locked");
	if (file != NULL && !recall_index_file_is_in(file, fd)) {
		close_locked(&fd, &lock);
		return 0;
	}
	ret = prepare_append(fd, path, &st, &tail, &end, error_r);
	if (ret == 0)
		ret = write_blocks(fd, path, blocks, end, error_r);
	close_locked(&fd, &lock);
	if (ret < 0)
		return -1;
	RECALL_FAILPOINT("index-appended");
	if (end + blocks->used > tail + TAIL_MAX + tail / 8 &&
	    recall_index_file_compact(list, path, NULL, NULL, error_r) < 0)
		return -1;
	return 1;
}

int recall_index_file_append(struct mailbox_list *list, const char *path,
			     const buffer_t *blocks, const char **error_r)
{
	return append_blocks(NULL, list, path, blocks, error_r) < 0 ? -1 : 0;
}

int recall_index_file_append_to(const struct recall_index_file *file,
				struct mailbox_list *list, const char *path,
				const buffer_t *blocks, const char **error_r)
{
	return append_blocks(file, list, path, blocks, error_r);
}

struct compact_context {
	struct recall_index_file *file;
	recall_index_keep_t *keep;
	void *context;

	buffer_t *table, *hashes, *uids, *kept;
};

/* Whether a list has a mailbox of that name. */
static bool
names_have(const struct recall_index_names *names, uint64_t name_hash)
{
	const char *name, *end = names->names + names->size;

	for (name = names->names; name < end; name += strlen(name) + 1) {
		if (recall_index_stamp_name(*name == '/' ? name + 1 : name) ==
		    name_hash)
			return TRUE;
	}
	return FALSE;
}

/* The lists of mailboxes are newer than its stamp, and its name is in none. If
   it is there all the same, under another name or in a list whose mailboxes
   have not been written down, then its messages are read again. */
static bool box_is_gone(const struct recall_index_file *file,
			const struct recall_index_box *box)
{
	const struct recall_index_names *names;

	if (box->name == 0 || box->newer || array_is_empty(&file->lists))
		return FALSE;
	array_foreach(&file->lists, names) {
		if (names_have(names, box->name))
			return FALSE;
	}
	return TRUE;
}

static void compact_box(struct compact_context *ctx,
			const struct recall_index_box *box)
{
	struct recall_index_table table = {
		.uid_validity = box->uid_validity,
		.first = ctx->uids->used / sizeof(uint32_t),
		.name = box->name,
		.stamp = box->stamp,
	};
	struct recall_index_box_iter iter;
	struct recall_index_rec rec;

	if (box_is_gone(ctx->file, box) ||
	    (ctx->keep != NULL && !ctx->keep(box, 0, ctx->context)))
		return;
	guid_128_copy(table.guid, box->guid);
	recall_index_box_iter_init(&iter, ctx->file, box);
	while (recall_index_box_iter_next(&iter, &rec)) {
		if (ctx->keep != NULL &&
		    !ctx->keep(box, rec.uid, ctx->context))
			continue;
		buffer_append(ctx->hashes, &rec.hash, sizeof(rec.hash));
		buffer_append(ctx->uids, &rec.uid, sizeof(rec.uid));
		table.count++;
	}
	/* one without records may have a stamp that says there are none */
	if (table.count > 0 || table.stamp != 0)
		buffer_append(ctx->table, &table, sizeof(table));
}

/* Writes the base. Returns its size, or -1. */
static int compact_write(struct compact_context *ctx, int fd, const char *path,
			 uoff_t *size_r, const char **error_r)
{
	const struct recall_index_box *box;
	const struct recall_index_names *names;
	struct recall_index_header hdr;
	buffer_t *hdr_buf;
	int ret = -1;

	ctx->table = buffer_create_dynamic(default_pool, 4096);
	ctx->hashes = buffer_create_dynamic(default_pool, 8192);
	ctx->uids = buffer_create_dynamic(default_pool, 4096);
	ctx->kept = buffer_create_dynamic(default_pool, 1024);
	array_foreach(&ctx->file->lists, names)
		recall_index_block_names(ctx->kept, names);
	array_foreach(&ctx->file->boxes, box) T_BEGIN {
		compact_box(ctx, box);
	} T_END;

	i_zero(&hdr);
	hdr.magic = RECALL_INDEX_MAGIC;
	hdr.version = RECALL_INDEX_VERSION;
	hdr.boxes = ctx->table->used / sizeof(struct recall_index_table);
	hdr.records = ctx->uids->used / sizeof(uint32_t);
	hdr.base_size = sizeof(hdr) + ctx->table->used + ctx->hashes->used +
		ctx->uids->used;
	hdr.kept = ctx->kept->used;
	hdr.crc = recall_index_header_crc(&hdr, ctx->table->data);
	*size_r = hdr.base_size + hdr.kept;

	hdr_buf = buffer_create_dynamic(default_pool, sizeof(hdr));
	buffer_append(hdr_buf, &hdr, sizeof(hdr));
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    write_full(fd, hdr_buf->data, hdr_buf->used) < 0 ||
	    write_full(fd, ctx->table->data, ctx->table->used) < 0 ||
	    write_full(fd, ctx->hashes->data, ctx->hashes->used) < 0 ||
	    write_full(fd, ctx->uids->data, ctx->uids->used) < 0 ||
	    write_full(fd, ctx->kept->data, ctx->kept->used) < 0 ||
	    fdatasync(fd) < 0)
		*error_r = t_strdup_printf("write(%s) failed: %m", path);
	else
		ret = 0;
	buffer_free(&hdr_buf);
	buffer_free(&ctx->table);
	buffer_free(&ctx->hashes);
	buffer_free(&ctx->uids);
	buffer_free(&ctx->kept);
	return ret;
}

/* Appends the blocks that have come since the index was read. */
static int
compact_carry_over(const struct recall_index_file *file, int src_fd,
		   uoff_t src_size, int fd, uoff_t size, const char *path,
		   const char **error_r)
{
	uoff_t end = find_end(src_fd, file->end, src_size);
	size_t len = end - file->end;
	void *data;
	int ret = 0;

	if (len == 0)
		return 0;
	data = i_malloc(len);
	if (pread_full(src_fd, data, len, file->end) <= 0 ||
	    pwrite_full(fd, data, len, size) < 0) {
		*error_r = t_strdup_printf("Copying to %s failed: %m", path);
		ret = -1;
	}
	i_free(data);
	return ret;
}

static int
compact_to(struct compact_context *ctx, struct mailbox_list *list,
	   const char *path, int fd, const char *temp_path,
	   const char **error_r)
{
	struct file_lock *lock;
	struct stat st;
	uoff_t size;
	int src_fd, ret = 0;

	if (recall_index_file_read(path, &ctx->file, error_r) < 0)
		return -1;
	/* an index of another version is made anew by the next to append */
	if (ctx->file->end == 0)
		return 0;
	if (compact_write(ctx, fd, temp_path, &size, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("index-compacted");
	src_fd = open_locked(list, path, &st, &lock, error_r);
	if (src_fd == -1)
		return -1;
	if (st.st_ino == ctx->file->ino &&
	    (uoff_t)st.st_size >= ctx->file->end) {
		ret = compact_carry_over(ctx->file, src_fd, st.st_size, fd,
					 size, temp_path, error_r);
		RECALL_FAILPOINT("index-carried");
		if (ret == 0 && rename(temp_path, path) < 0) {
			*error_r = t_strdup_printf("rename(%s, %s) failed: %m",
						   temp_path, path);
			ret = -1;
		}
		RECALL_FAILPOINT("index-renamed");
	}
	close_locked(&src_fd, &lock);
	return ret;
}

int recall_index_file_compact(struct mailbox_list *list, const char *path,
			      recall_index_keep_t *keep, void *context,
			      const char **error_r)
{
	struct compact_context ctx = {
		.keep = keep,
		.context = context,
	};
	const char *temp_path = t_strconcat(path, ".tmp", NULL);
	struct file_lock *lock;
	struct stat st;
	int fd, ret;

	fd = open_create(list, temp_path, error_r);
	if (fd == -1)
		return -1;
	ret = lock_fd(fd, temp_path, FALSE, &lock, error_r);
	if (ret > 0) {
		/* it may have become the index while we opened it */
		ret = !is_current(fd, temp_path, &st) ? 0 :
			compact_to(&ctx, list, path, fd, temp_path, error_r);
		recall_index_file_free(&ctx.file);
		file_unlock(&lock);
	}
	i_close_fd(&fd);
	return ret;
}
