#include "lib.h"
#include "buffer.h"
#include "file-lock.h"
#include "read-full.h"
#include "write-full.h"
#include "failpoint.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-open.h"

#include <sys/stat.h>
#include <unistd.h>

/* The tail may become as long as this, and an eighth of the base more: that
   is what a lookup has to check, and what saving pays for a compaction. */
#define TAIL_MAX (8 * 1024)
/* How long a save waits, which others wait for. */
#define SAVE_LOCK_SECS 2

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

/* The file's first octets: mostly all that there is to look at. */
struct file_head {
	uint64_t data[512];
	size_t size;

	int fd;
	uoff_t file_size;
	/* what was asked for of the rest */
	void *more;
	/* Why something can't be read; 0 if it can. That says nothing of what
	   is there. */
	int error;
};

static bool
head_pread(struct file_head *head, void *data, size_t size, uoff_t pos)
{
	const int ret = pread_full(head->fd, data, size, pos);

	if (ret < 0)
		head->error = errno;
	return ret > 0;
}

static bool head_read(struct file_head *head, int fd, uoff_t file_size)
{
	head->size = I_MIN(file_size, sizeof(head->data));
	head->fd = fd;
	head->file_size = file_size;
	head->more = NULL;
	head->error = 0;
	return head->size >= sizeof(struct recall_index_header) &&
		head_pread(head, head->data, head->size, 0);
}

/* Returns that part of the file, until it is asked for another one, or NULL if
   it can't be read. */
static const void *head_get(struct file_head *head, uoff_t pos, size_t size)
{
	if (pos + size <= head->size)
		return CONST_PTR_OFFSET(head->data, pos);
	i_free(head->more);
	head->more = i_malloc(size);
	return head_pread(head, head->more, size, pos) ? head->more : NULL;
}

/* TRUE if the file ends with a whole block: then those before it are whole,
   too, as its writer has seen to. */
static bool ends_well(struct file_head *head, uoff_t tail)
{
	const size_t size = head->file_size - tail;
	/* one message's, which one read gets */
	const size_t guess = RECALL_INDEX_BLOCK_MIN + RECALL_INDEX_REC_SIZE;
	const unsigned char *end;
	uint32_t len;
	size_t got;

	if (size == 0)
		return TRUE;
	if (size < RECALL_INDEX_BLOCK_MIN)
		return FALSE;
	got = I_MIN(size, guess);
	end = head_get(head, head->file_size - got, got);
	if (end == NULL)
		return FALSE;
	memcpy(&len, end + got - sizeof(len), sizeof(len));
	if (len < RECALL_INDEX_BLOCK_MIN || len > size)
		return FALSE;
	if (len <= got)
		end += got - len;
	else
		end = head_get(head, head->file_size - len, len);
	return end != NULL && recall_index_block_check(end, len) == len;
}

/* Whether those who read it will find the base whole. */
static bool base_is_whole(struct file_head *head,
			  const struct recall_index_header *hdr)
{
	size_t size = hdr->boxes * sizeof(struct recall_index_table);
	const void *table = head_get(head, sizeof(*hdr), size);

	return table != NULL && recall_index_table_check(hdr, table);
}

/* Returns where to write the next block, and where the first one is that came
   after a compaction. */
static int prepare_append(int fd, const char *path, const struct stat *st,
			  uoff_t *tail_r, uoff_t *end_r, const char **error_r)
{
	struct recall_index_header hdr;
	struct file_head head;
	bool is_whole, has_end;

	i_zero(&hdr);
	if (head_read(&head, fd, st->st_size))
		memcpy(&hdr, head.data, sizeof(hdr));
	is_whole = st->st_size <= RECALL_INDEX_SIZE_MAX &&
		recall_index_header_check(&hdr, st->st_size) &&
		!recall_index_is_absurd(hdr.boxes,
					st->st_size - hdr.base_size) &&
		base_is_whole(&head, &hdr);
	has_end = is_whole && ends_well(&head, hdr.base_size);
	i_free(head.more);
	if (head.error != 0) {
		errno = head.error;
		*error_r = t_strdup_printf("read(%s) failed: %m", path);
		return -1;
	}
	if (!is_whole) {
		*tail_r = *end_r = sizeof(hdr);
		return write_empty(fd, path, error_r);
	}
	*tail_r = hdr.base_size + hdr.kept;
	*end_r = has_end ? (uoff_t)st->st_size :
		recall_index_find_end(fd, hdr.base_size, st->st_size);
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
			 const buffer_t *blocks, unsigned int lock_secs,
			 bool *is_long_r, const char **error_r)
{
	struct file_lock *lock;
	struct stat st;
	uoff_t tail = 0, end = 0;
	int fd, ret;

	*is_long_r = FALSE;
	fd = recall_index_open_locked(list, path, lock_secs, &st, &lock,
				      error_r);
	if (fd == -1)
		return -1;
	RECALL_FAILPOINT("index-locked");
	if (file != NULL && !recall_index_file_is_in(file, fd)) {
		recall_index_close_locked(&fd, &lock);
		return 0;
	}
	ret = prepare_append(fd, path, &st, &tail, &end, error_r);
	/* what was read may have been damaged since */
	if (ret == 0 && (file == NULL || end >= file->end))
		ret = write_blocks(fd, path, blocks, end, error_r) < 0 ? -1 : 1;
	recall_index_close_locked(&fd, &lock);
	if (ret <= 0)
		return ret;
	RECALL_FAILPOINT("index-appended");
	*is_long_r = end + blocks->used > tail + TAIL_MAX + tail / 8;
	return 1;
}

static int append_and_compact(const struct recall_index_file *file,
			      struct mailbox_list *list, const char *path,
			      const buffer_t *blocks, const char **error_r)
{
	bool is_long;
	int ret;

	ret = append_blocks(file, list, path, blocks, RECALL_INDEX_LOCK_SECS,
			    &is_long, error_r);
	if (is_long &&
	    recall_index_file_compact(list, path, NULL, NULL, error_r) < 0)
		return -1;
	return ret;
}

int recall_index_file_append_only(struct mailbox_list *list, const char *path,
				  const buffer_t *blocks, bool *is_long_r,
				  const char **error_r)
{
	return append_blocks(NULL, list, path, blocks, SAVE_LOCK_SECS,
			     is_long_r, error_r);
}

int recall_index_file_append(struct mailbox_list *list, const char *path,
			     const buffer_t *blocks, const char **error_r)
{
	return append_and_compact(NULL, list, path, blocks, error_r) < 0 ?
		-1 : 0;
}

int recall_index_file_append_to(const struct recall_index_file *file,
				struct mailbox_list *list, const char *path,
				const buffer_t *blocks, const char **error_r)
{
	return append_and_compact(file, list, path, blocks, error_r);
}
