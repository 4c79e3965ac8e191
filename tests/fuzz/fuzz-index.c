/* The Message-ID index of a user, of whatever contents. The first octet says
   what is done with it: 1: its sizes and checksums are put right before, since
   none comes right by chance; 2: a record is appended; 4: it is compacted. */
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "crc32.h"

/* of what is larger, records are left in the file */
#define WHOLE_MAX 128
#include "recall-index-file.c"

#include "fuzz.h"

#define RIGHT 1
#define APPEND 2
#define COMPACT 4

#define BOXES_MAX 8
#define RECORDS_MAX 64

static char *path, *temp_path;
static const guid_128_t guid = { 1 };

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	path = fuzz_path("index");
	temp_path = fuzz_path("index.tmp");
	return 0;
}

/* Returns where the blocks begin. */
static size_t put_base_right(unsigned char *data, size_t size)
{
	struct recall_index_header hdr;
	size_t left = size - sizeof(hdr);

	memcpy(&hdr, data, sizeof(hdr));
	hdr.magic = RECALL_INDEX_MAGIC;
	hdr.version = RECALL_INDEX_VERSION;
	hdr.boxes %= BOXES_MAX;
	hdr.boxes = I_MIN(hdr.boxes, left / sizeof(struct recall_index_table));
	left -= hdr.boxes * sizeof(struct recall_index_table);
	hdr.records %= RECORDS_MAX;
	hdr.records = I_MIN(hdr.records, left / RECALL_INDEX_REC_SIZE);
	left -= hdr.records * RECALL_INDEX_REC_SIZE;
	hdr.base_size = size - left;
	hdr.crc = recall_index_header_crc(&hdr, data + sizeof(hdr));
	memcpy(data, &hdr, sizeof(hdr));
	return hdr.base_size;
}

static void put_blocks_right(unsigned char *data, size_t size)
{
	const size_t start = offsetof(struct recall_index_block, type);
	struct recall_index_block block;
	size_t len;

	for (; size >= RECALL_INDEX_BLOCK_MIN; data += len, size -= len) {
		memcpy(&block, data, sizeof(block));
		len = RECALL_INDEX_BLOCK_MIN + block.size % 256;
		block.size = len = I_MIN(len, size);
		memcpy(data + len - sizeof(block.size), &block.size,
		       sizeof(block.size));
		block.crc = crc32_data(data + start,
				       len - sizeof(block.size) - start);
		memcpy(data, &block, start);
	}
}

static struct recall_index_file *read_index(void)
{
	struct recall_index_file *file;
	const char *error;

	require(recall_index_file_read(path, &file, &error) == 0);
	require(file->end <= file->size && file->tail <= file->end);
	return file;
}

static void tell_box(const struct recall_index_file *file,
		     const struct recall_index_box *box, buffer_t *told)
{
	struct recall_index_box_iter iter;
	struct recall_index_rec rec;
	unsigned int idx = 0, records = 0, count = box->count;

	require(box->first <= file->count);
	require(box->count <= file->count - box->first);
	while (recall_index_file_tail_next(file, box, &idx, &rec))
		count++;
	buffer_append(told, box->guid, sizeof(box->guid));
	buffer_append(told, &box->uid_validity, sizeof(box->uid_validity));
	buffer_append(told, &box->name, sizeof(box->name));
	buffer_append(told, &box->stamp, sizeof(box->stamp));
	recall_index_box_iter_init(&iter, file, box);
	while (recall_index_box_iter_next(&iter, &rec)) {
		require(count-- > 0);
		records++;
		buffer_append(told, &rec.uid, sizeof(rec.uid));
		buffer_append(told, &rec.hash, sizeof(rec.hash));
	}
	buffer_append(told, &records, sizeof(records));
}

/* All that a lookup can know of it. Read from the end it has one meaning. */
static const buffer_t *
tell(const struct recall_index_file *file, bool *has_names_r)
{
	buffer_t *told = t_buffer_create(1024);
	const struct recall_index_names *names;
	const struct recall_index_box *box;
	struct recall_index_rec rec;
	unsigned int idx;

	*has_names_r = FALSE;
	array_foreach(&file->lists, names) {
		require(names->size == 0 ||
			names->names[names->size - 1] == '\0');
		buffer_append(told, names->root, sizeof(names->root));
		buffer_append(told, names->names, names->size);
		buffer_append(told, &names->stamp, sizeof(names->stamp));
		buffer_append(told, &names->size, sizeof(names->size));
		*has_names_r = TRUE;
	}
	array_foreach(&file->boxes, box) {
		/* a compaction leaves these out */
		idx = 0;
		if (box->stamp == 0 && box->count == 0 &&
		    !recall_index_file_tail_next(file, box, &idx, &rec))
			continue;
		tell_box(file, box, told);
	}
	return told;
}

/* A search finds the same, whether records are in memory or in the file. */
static void check_search(const struct recall_index_file *whole,
			 const struct recall_index_file *parts)
{
	ARRAY_TYPE(uint32_t) found, others;
	uint64_t hash = whole->hashes[whole->count / 2];
	uint32_t idx;

	t_array_init(&found, 16);
	t_array_init(&others, 16);
	require(recall_index_file_search(whole, 0, whole->count, hash, 70,
					 &found) == 0);
	require(recall_index_file_search(parts, 0, parts->count, hash, 70,
					 &others) == 0);
	require(array_cmp(&found, &others));
	require(array_count(&found) > 0);
	array_foreach_elem(&found, idx) {
		require(whole->hashes[idx] == hash || whole->hashes[idx] == 70);
		require(recall_index_file_get_uid(whole, idx) ==
			recall_index_file_get_uid(parts, idx));
	}
}

/* What is read in parts is what is read as a whole. */
static void check_parts(const struct recall_index_file *whole)
{
	const char *error;
	struct recall_index_file *parts;
	bool has_names;
	int fd;

	require(recall_index_file_open(path, &parts, &error) == 0);
	require(parts->end == whole->end && parts->tail == whole->tail);
	require(parts->count == whole->count);
	if (whole->count > 0)
		check_search(whole, parts);
	fd = open(path, O_RDONLY);
	require(recall_index_file_is_in(parts, fd) == (whole->end > 0));
	i_close_fd(&fd);
	require(recall_index_file_load(parts) == 0);
	require(buffer_cmp(tell(parts, &has_names), tell(whole, &has_names)));
	recall_index_file_unref(&parts);
}

/* What was appended is there, whatever was there before: but for a block that
   is broken amidst others, which the next compaction cuts off. */
static void append(bool whole)
{
	const struct recall_index_rec added = { .hash = 70, .uid = 7 };
	struct recall_index_box_iter iter;
	struct recall_index_rec rec = { .uid = 0 };
	struct recall_index_file *file;
	buffer_t *blocks = t_buffer_create(64);
	const char *error;
	bool found = FALSE;

	recall_index_block_mails(blocks, guid, 1, &added, 1);
	require(recall_index_file_append(NULL, path, blocks, &error) == 0);
	file = read_index();
	recall_index_box_iter_init(&iter, file,
				   recall_index_file_find(file, guid, 1));
	while (recall_index_box_iter_next(&iter, &rec)) {
		if (rec.uid == added.uid && rec.hash == added.hash)
			found = TRUE;
	}
	require(found || !whole);
	recall_index_file_unref(&file);
}

static void compact(void)
{
	struct recall_index_file *file;
	const buffer_t *before, *after;
	const char *error;
	bool has_names;

	file = read_index();
	before = tell(file, &has_names);
	recall_index_file_unref(&file);
	require(recall_index_file_compact(NULL, path, NULL, NULL,
					  &error) == 0);
	file = read_index();
	require(file->end == file->size || file->end == 0);
	after = tell(file, &has_names);
	recall_index_file_unref(&file);
	/* with names, mailboxes that are gone are left out */
	require(has_names ? after->used <= before->used :
		buffer_cmp(after, before));
}

/* With it there, no mailbox list is asked for permissions. */
static void make_temp(void)
{
	if (access(temp_path, F_OK) != 0)
		fuzz_write(temp_path, "", 0);
}

static void run(unsigned int what, unsigned char *data, size_t size)
{
	struct recall_index_file *file;
	size_t base;
	bool whole;

	if ((what & RIGHT) != 0 &&
	    size >= sizeof(struct recall_index_header)) {
		base = put_base_right(data, size);
		put_blocks_right(data + base, size - base);
	}
	fuzz_write(path, data, size);
	file = read_index();
	whole = file->end == 0 || file->size - file->end <
		RECALL_INDEX_BLOCK_MIN;
	check_parts(file);
	recall_index_file_unref(&file);
	if ((what & (APPEND | COMPACT)) != 0)
		make_temp();
	if ((what & APPEND) != 0)
		append(whole);
	if ((what & COMPACT) != 0) {
		make_temp();
		compact();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *copy;

	if (size == 0)
		return 0;
	T_BEGIN {
		copy = p_memdup(pool_datastack_create(), data, size);
		run(copy[0], copy + 1, size - 1);
	} T_END;
	return 0;
}
