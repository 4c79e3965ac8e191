#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "read-full.h"
#include "mailbox-list.h"
#include "recall-index-crc.h"
#include "recall-index-file.h"
#include "recall-index-format.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Octets of a file that is always read whole. */
#ifndef WHOLE_MAX
#  define WHOLE_MAX (64 * 1024)
#endif
/* Time after which a file's times show the next change, whatever the clock's
   ticks are. */
#define SETTLED_SECS 1

const char *recall_index_file_get_path(struct mailbox_list *list)
{
	const char *dir;

	if (!mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_LIST_INDEX,
					&dir))
		return NULL;
	return t_strconcat(dir, "/"RECALL_INDEX_FILE_NAME, NULL);
}

uint32_t recall_index_header_crc(const struct recall_index_header *hdr,
				 const void *table)
{
	struct recall_index_header copy = *hdr;

	copy.crc = 0;
	return recall_index_crc(recall_index_crc(0, &copy, sizeof(copy)), table,
				hdr->boxes * sizeof(struct recall_index_table));
}

bool recall_index_header_check(const struct recall_index_header *hdr,
			       uint64_t size)
{
	return hdr->magic == RECALL_INDEX_MAGIC &&
		hdr->version == RECALL_INDEX_VERSION &&
		hdr->boxes <= RECALL_INDEX_BOXES_MAX &&
		hdr->base_size <= size &&
		hdr->base_size == sizeof(*hdr) + hdr->boxes *
		(uint64_t)sizeof(struct recall_index_table) + hdr->records *
		(uint64_t)RECALL_INDEX_REC_SIZE;
}

bool recall_index_table_check(const struct recall_index_header *hdr,
			      const struct recall_index_table *table)
{
	uint32_t i, next = 0;

	if (recall_index_header_crc(hdr, table) != hdr->crc)
		return FALSE;
	/* one after the other: a record is one mailbox's, so that there are no
	   more than there is room for in the file */
	for (i = 0; i < hdr->boxes; i++) {
		if (table[i].first != next ||
		    table[i].count > hdr->records - next)
			return FALSE;
		next += table[i].count;
	}
	return TRUE;
}

size_t recall_index_block_check(const unsigned char *data, size_t size)
{
	struct recall_index_block block;
	size_t len;
	uint32_t last;

	if (size < RECALL_INDEX_BLOCK_MIN)
		return 0;
	memcpy(&block, data, sizeof(block));
	if (block.size < RECALL_INDEX_BLOCK_MIN || block.size > size)
		return 0;
	len = block.size - sizeof(last);
	memcpy(&last, data + len, sizeof(last));
	if (last != block.size)
		return 0;
	return recall_index_crc(0,
			data + offsetof(struct recall_index_block, type),
			len - offsetof(struct recall_index_block, type)) ==
		block.crc ? block.size : 0;
}

bool recall_index_is_absurd(uint64_t boxes, uint64_t size)
{
	/* a thousand mailboxes with a million new messages have less */
	return size > RECALL_INDEX_TAIL_MAX ||
		boxes * (size / RECALL_INDEX_REC_SIZE) > (uint64_t)1 << 30;
}

static bool file_get_base(struct recall_index_file *file)
{
	const struct recall_index_header *hdr = (const void *)file->data;
	const struct recall_index_table *table;
	struct recall_index_box *box;
	uint32_t i;

	if (file->size < sizeof(*hdr) ||
	    !recall_index_header_check(hdr, file->size))
		return FALSE;
	table = CONST_PTR_OFFSET(file->data, sizeof(*hdr));
	if (!recall_index_table_check(hdr, table))
		return FALSE;
	for (i = 0; i < hdr->boxes; i++) {
		box = array_append_space(&file->boxes);
		guid_128_copy(box->guid, table[i].guid);
		box->uid_validity = table[i].uid_validity;
		box->name = table[i].name;
		box->stamp = table[i].stamp;
		box->first = table[i].first;
		box->count = table[i].count;
		box->dropped = table[i].dropped;
	}
	file->count = hdr->records;
	if (file->left == 0) {
		file->hashes = CONST_PTR_OFFSET(table,
						hdr->boxes * sizeof(*table));
		file->uids = CONST_PTR_OFFSET(file->hashes,
			hdr->records * sizeof(*file->hashes));
	}
	file->end = file->tail = hdr->base_size;
	return TRUE;
}

uoff_t recall_index_find_end(int fd, uoff_t pos, uoff_t size)
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

struct recall_index_box *
recall_index_file_find(struct recall_index_file *file, const guid_128_t guid,
		       uint32_t uid_validity)
{
	struct recall_index_box *box;

	array_foreach_modifiable(&file->boxes, box) {
		if (box->uid_validity == uid_validity &&
		    guid_128_equals(box->guid, guid))
			return box;
	}
	return NULL;
}

static void
file_add_mails(struct recall_index_file *file,
	       struct recall_index_box *box, const unsigned char *data,
	       size_t size)
{
	const size_t count = size / RECALL_INDEX_REC_SIZE;
	const unsigned int box_idx = array_ptr_to_idx(&file->boxes, box);
	struct recall_index_tail_rec *recs;
	size_t i;

	if (!array_is_created(&file->tail_recs)) {
		/* no more than there is room for in the rest of the file */
		p_array_init(&file->tail_recs, file->pool,
			     (file->size - file->end) / RECALL_INDEX_REC_SIZE);
	}
	box->tail_count += count;
	/* all at once: of a user without the message these are the most */
	recs = buffer_append_space_unsafe(file->tail_recs.arr.buffer,
					  count * sizeof(*recs));
	for (i = 0; i < count; i++) {
		memcpy(&recs[i].hash, data, sizeof(recs[i].hash));
		memcpy(&recs[i].uid, data + sizeof(recs[i].hash),
		       sizeof(recs[i].uid));
		recs[i].box = box_idx;
		data += RECALL_INDEX_REC_SIZE;
	}
}

bool recall_index_file_tail_next(const struct recall_index_file *file,
				 const struct recall_index_box *box,
				 unsigned int *idx,
				 struct recall_index_rec *rec_r)
{
	const struct recall_index_tail_rec *recs;
	unsigned int count, box_idx;

	if (!array_is_created(&file->tail_recs))
		return FALSE;
	box_idx = array_ptr_to_idx(&file->boxes, box);
	recs = array_get(&file->tail_recs, &count);
	while (*idx < count && recs[*idx].box != box_idx)
		*idx += 1;
	if (*idx == count)
		return FALSE;
	rec_r->hash = recs[*idx].hash;
	rec_r->uid = recs[*idx].uid;
	*idx += 1;
	return TRUE;
}

/* A list's later names take the place of its earlier ones. */
static void
file_add_names(struct recall_index_file *file, const guid_128_t root,
	       const unsigned char *data, size_t size)
{
	struct recall_index_names *names;
	struct recall_index_box *box;

	if (size < sizeof(names->stamp) || size > RECALL_INDEX_NAMES_MAX ||
	    data[size - 1] != '\0')
		return;
	array_foreach_modifiable(&file->boxes, box)
		box->newer = FALSE;
	array_foreach_modifiable(&file->lists, names) {
		if (guid_128_equals(names->root, root))
			break;
	}
	if (array_foreach_idx(&file->lists, names) ==
	    array_count(&file->lists)) {
		names = array_append_space(&file->lists);
		guid_128_copy(names->root, root);
	}
	memcpy(&names->stamp, data, sizeof(names->stamp));
	names->names = (const char *)data + sizeof(names->stamp);
	names->size = size - sizeof(names->stamp);
}

static void
file_add_block(struct recall_index_file *file, const unsigned char *data)
{
	struct recall_index_block block;
	struct recall_index_box *box;
	size_t size;

	memcpy(&block, data, sizeof(block));
	data += sizeof(block);
	size = block.size - RECALL_INDEX_BLOCK_MIN;
	if (block.type == RECALL_INDEX_BLOCK_NAMES) {
		file_add_names(file, block.guid, data, size);
		return;
	}
	box = recall_index_file_find(file, block.guid, block.uid_validity);
	if (box == NULL) {
		box = array_append_space(&file->boxes);
		guid_128_copy(box->guid, block.guid);
		box->uid_validity = block.uid_validity;
	}
	switch (block.type) {
	case RECALL_INDEX_BLOCK_MAILS:
		file_add_mails(file, box, data, size);
		break;
	case RECALL_INDEX_BLOCK_STAMP:
		if (size < sizeof(box->name) + sizeof(box->stamp))
			break;
		memcpy(&box->name, data, sizeof(box->name));
		memcpy(&box->stamp, data + sizeof(box->name),
		       sizeof(box->stamp));
		box->newer = TRUE;
		break;
	}
}

/* As if it was empty: a part of it might say the contrary of the rest. */
static void file_forget(struct recall_index_file *file)
{
	array_clear(&file->boxes);
	array_clear(&file->lists);
	if (array_is_created(&file->tail_recs))
		array_clear(&file->tail_recs);
	file->hashes = NULL;
	file->uids = NULL;
	file->count = 0;
	file->end = file->tail = 0;
}

static void file_parse(struct recall_index_file *file)
{
	const unsigned char *data;
	size_t size;

	if (!file_get_base(file))
		return;
	/* before there is memory taken for it */
	if (recall_index_is_absurd(array_count(&file->boxes),
				   file->size - file->end)) {
		file_forget(file);
		return;
	}
	data = file->data + (file->end - file->left);
	while ((size = recall_index_block_check(data,
					file->size - file->end)) > 0) {
		file_add_block(file, data);
		file->end += size;
		data += size;
		if (recall_index_is_absurd(array_count(&file->boxes),
					   file->end - file->tail)) {
			file_forget(file);
			return;
		}
	}
}

static int file_read_whole(struct recall_index_file *file, size_t size)
{
	file->data = i_malloc(size);
	if (pread_full(file->fd, file->data, size, 0) < 0)
		return -1;
	/* cut off meanwhile: what is left is zeros */
	file->size = size;
	return 1;
}

/* Reads all but the records. Returns 0 if it's not an index that we know. */
static int file_read_parts(struct recall_index_file *file, size_t size)
{
	struct recall_index_header hdr;
	size_t head;
	int ret;

	ret = pread_full(file->fd, &hdr, sizeof(hdr), 0);
	if (ret <= 0)
		return ret;
	if (!recall_index_header_check(&hdr, size))
		return 0;
	head = sizeof(hdr) + hdr.boxes * sizeof(struct recall_index_table);
	file->left = hdr.base_size - head;
	file->size = size;
	file->data = i_malloc(size - file->left);
	memcpy(file->data, &hdr, sizeof(hdr));
	if (pread_full(file->fd, file->data + sizeof(hdr), head - sizeof(hdr),
		       sizeof(hdr)) < 0 ||
	    pread_full(file->fd, file->data + head, size - hdr.base_size,
		       hdr.base_size) < 0)
		return -1;
	return 1;
}

static int
file_read_fd(struct recall_index_file *file, bool whole, const char *path,
	     const char **error_r)
{
	struct stat st;
	int ret;

	if (fstat(file->fd, &st) < 0) {
		*error_r = t_strdup_printf("fstat(%s) failed: %m", path);
		return -1;
	}
	if (st.st_size == 0 || st.st_size > RECALL_INDEX_SIZE_MAX)
		return 0;
	file->st = st;
	file->settled = I_MAX(st.st_mtime, st.st_ctime) + SETTLED_SECS <
		time(NULL);
	ret = !whole && st.st_size > WHOLE_MAX ?
		file_read_parts(file, st.st_size) :
		file_read_whole(file, st.st_size);
	if (ret < 0) {
		*error_r = t_strdup_printf("read(%s) failed: %m", path);
		return -1;
	}
	if (ret > 0)
		file_parse(file);
	return 0;
}

static int
file_read(const char *path, bool whole, struct recall_index_file **file_r,
	  const char **error_r)
{
	struct recall_index_file *file;
	pool_t pool;
	int ret;

	pool = pool_alloconly_create("recall index", 4096);
	file = p_new(pool, struct recall_index_file, 1);
	file->pool = pool;
	file->refcount = 1;
	p_array_init(&file->boxes, pool, 32);
	p_array_init(&file->lists, pool, 1);
	*file_r = file;

	/* it's the user's: nothing that is there may hold us up */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	ret = file_read_fd(file, whole, path, error_r);
	if (ret < 0 || file->left == 0)
		i_close_fd(&file->fd);
	return ret;
}

int recall_index_file_read(const char *path, struct recall_index_file **file_r,
			   const char **error_r)
{
	return file_read(path, TRUE, file_r, error_r);
}

int recall_index_file_open(const char *path, struct recall_index_file **file_r,
			   const char **error_r)
{
	return file_read(path, FALSE, file_r, error_r);
}

bool recall_index_file_is_current(const struct recall_index_file *file,
				  const char *path)
{
	const struct stat *old = &file->st;
	struct stat st;

	return file->settled && stat(path, &st) == 0 &&
		st.st_ino == old->st_ino &&
		CMP_DEV_T(st.st_dev, old->st_dev) &&
		st.st_size == old->st_size &&
		CMP_ST_MTIME(&st, old) && CMP_ST_CTIME(&st, old);
}

void recall_index_file_ref(struct recall_index_file *file)
{
	file->refcount++;
}

void recall_index_file_unref(struct recall_index_file **_file)
{
	struct recall_index_file *file = *_file;
	pool_t pool;

	*_file = NULL;
	if (file == NULL || --file->refcount > 0)
		return;
	i_close_fd(&file->fd);
	i_free(file->records);
	i_free(file->data);
	pool = file->pool;
	pool_unref(&pool);
}

/* The last octets are of a block with a checksum, or of a base whose header has
   one: no other index has the same in the same place. */
bool recall_index_file_is_in(const struct recall_index_file *file, int fd)
{
	unsigned char hdr[sizeof(struct recall_index_header)];
	unsigned char last[64];
	size_t size = I_MIN(sizeof(last), file->left == 0 ? file->end :
			    file->end - file->tail);

	return file->end > 0 && pread_full(fd, hdr, sizeof(hdr), 0) > 0 &&
		memcmp(hdr, file->data, sizeof(hdr)) == 0 &&
		(size == 0 ||
		 pread_full(fd, last, size, file->end - size) > 0) &&
		memcmp(last, file->data + (file->end - file->left) - size,
		       size) == 0;
}
