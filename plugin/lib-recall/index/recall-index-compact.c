#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "file-lock.h"
#include "read-full.h"
#include "write-full.h"
#include "failpoint.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-open.h"
#include "recall-index-stamp.h"
#include "recall-index-sum.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct compact_context {
	struct recall_index_file *file;
	recall_index_keep_t *keep;
	void *context;
	/* of all lists' mailboxes, in order: recall_index_stamp_name() */
	ARRAY(uint64_t) names;

	buffer_t *table, *hashes, *uids, *kept;
};

static int name_cmp(const uint64_t *name1, const uint64_t *name2)
{
	return *name1 < *name2 ? -1 : *name1 > *name2 ? 1 : 0;
}

/* Of thousands, looking at them for each mailbox would take seconds. */
static void compact_get_names(struct compact_context *ctx)
{
	const struct recall_index_names *names;
	const char *name, *end;
	uint64_t hash;

	array_foreach(&ctx->file->lists, names) {
		end = names->names + names->size;
		for (name = names->names; name < end;
		     name += strlen(name) + 1) {
			hash = recall_index_stamp_name(*name == '/' ?
						       name + 1 : name);
			array_push_back(&ctx->names, &hash);
		}
	}
	array_sort(&ctx->names, name_cmp);
}

/* The lists of mailboxes are newer than its stamp, and its name is in none. If
   it is there all the same, under another name or in a list whose mailboxes
   have not been written down, then its messages are read again. */
static bool box_is_gone(struct compact_context *ctx,
			const struct recall_index_box *box)
{
	return box->name != 0 && !box->newer &&
		!array_is_empty(&ctx->file->lists) &&
		array_bsearch(&ctx->names, &box->name, name_cmp) == NULL;
}

static void compact_box(struct compact_context *ctx,
			const struct recall_index_box *box)
{
	struct recall_index_table table = {
		.uid_validity = box->uid_validity,
		.first = ctx->uids->used / sizeof(uint32_t),
		.name = box->name,
		.stamp = box->stamp,
		.dropped = box->dropped,
	};
	struct recall_index_box_iter iter;
	struct recall_index_rec rec;

	if (box_is_gone(ctx, box) ||
	    (ctx->keep != NULL && !ctx->keep(box, 0, ctx->context)))
		return;
	guid_128_copy(table.guid, box->guid);
	recall_index_box_iter_init(&iter, ctx->file, box);
	while (recall_index_box_iter_next(&iter, &rec)) {
		if (ctx->keep != NULL &&
		    !ctx->keep(box, rec.uid, ctx->context)) {
			table.dropped += recall_index_sum_rec(&rec);
			continue;
		}
		buffer_append(ctx->hashes, &rec.hash, sizeof(rec.hash));
		buffer_append(ctx->uids, &rec.uid, sizeof(rec.uid));
		table.count++;
	}
	/* one without records may have a stamp that says there are none */
	if (table.count > 0 || table.stamp != 0)
		buffer_append(ctx->table, &table, sizeof(table));
}

/* There are no more than these: a later one may take an earlier one's place. */
static size_t file_count_records(const struct recall_index_file *file)
{
	return file->count + (!array_is_created(&file->tail_recs) ? 0 :
			      array_count(&file->tail_recs));
}

/* Writes the base. Returns its size, or -1. */
static int compact_write(struct compact_context *ctx, int fd, const char *path,
			 uoff_t *size_r, const char **error_r)
{
	const struct recall_index_box *box;
	const struct recall_index_names *names;
	const size_t records = file_count_records(ctx->file);
	struct recall_index_header hdr;
	buffer_t *hdr_buf;
	int ret = -1;

	/* not twice as much as it takes, to which they would grow */
	ctx->table = buffer_create_dynamic(default_pool, 4096);
	ctx->hashes = buffer_create_dynamic(default_pool,
					    records * sizeof(uint64_t) + 1);
	ctx->uids = buffer_create_dynamic(default_pool,
					  records * sizeof(uint32_t) + 1);
	ctx->kept = buffer_create_dynamic(default_pool, 1024);
	array_foreach(&ctx->file->lists, names)
		recall_index_block_names(ctx->kept, names);
	i_array_init(&ctx->names, 64);
	compact_get_names(ctx);
	array_foreach(&ctx->file->boxes, box) T_BEGIN {
		compact_box(ctx, box);
	} T_END;
	array_free(&ctx->names);

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
	uoff_t end = recall_index_find_end(src_fd, file->end, src_size);
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
	src_fd = recall_index_open_locked(list, path, RECALL_INDEX_LOCK_SECS,
					  &st, &lock, error_r);
	if (src_fd == -1)
		return -1;
	if (st.st_ino == ctx->file->st.st_ino &&
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
	recall_index_close_locked(&src_fd, &lock);
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

	fd = recall_index_open_create(list, temp_path, error_r);
	if (fd == -1)
		return -1;
	ret = recall_index_lock(fd, temp_path, 0, &lock, error_r);
	if (ret > 0) {
		/* it may have become the index while we opened it */
		ret = !recall_index_is_current(fd, temp_path, &st) ? 0 :
			compact_to(&ctx, list, path, fd, temp_path, error_r);
		recall_index_file_unref(&ctx.file);
		file_unlock(&lock);
	}
	i_close_fd(&fd);
	return ret;
}
