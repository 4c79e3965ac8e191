#include "lib.h"
#include "array.h"
#include "read-full.h"
#include "recall-index-file.h"
#include "recall-index-format.h"

/* Hashes that are read at a time: they stay in the processor's cache. */
#define CHUNK 4096

static uint64_t file_records_offset(const struct recall_index_file *file)
{
	const struct recall_index_header *hdr = (const void *)file->data;

	return sizeof(*hdr) + hdr->boxes *
		(uint64_t)sizeof(struct recall_index_table);
}

/* A base is never changed, unless somebody copies another file over it: then
   what was read before does not belong to what has been read now. */
static bool file_is_same(const struct recall_index_file *file)
{
	struct recall_index_header hdr;

	return pread_full(file->fd, &hdr, sizeof(hdr), 0) > 0 &&
		memcmp(&hdr, file->data, sizeof(hdr)) == 0;
}

int recall_index_file_load(struct recall_index_file *file)
{
	size_t size = file->count * (size_t)RECALL_INDEX_REC_SIZE;

	/* none are left of a table that is damaged */
	if (file->left == 0 || file->hashes != NULL || file->count == 0)
		return 0;
	file->records = i_malloc(size);
	if (pread_full(file->fd, file->records, size,
		       file_records_offset(file)) <= 0 || !file_is_same(file)) {
		i_free(file->records);
		return -1;
	}
	file->hashes = file->records;
	file->uids = CONST_PTR_OFFSET(file->records,
				      file->count * sizeof(*file->hashes));
	return 0;
}

static void
search_hashes(const uint64_t *hashes, uint32_t count, uint32_t first,
	      uint64_t hash1, uint64_t hash2, ARRAY_TYPE(uint32_t) *found)
{
	uint32_t i, idx;

	/* this loop is what a recall costs in a large index */
	for (i = 0; i < count; i++) {
		if (hashes[i] == hash1 || hashes[i] == hash2) {
			idx = first + i;
			array_push_back(found, &idx);
		}
	}
}

int recall_index_file_search(const struct recall_index_file *file,
			     uint32_t first, uint32_t count, uint64_t hash1,
			     uint64_t hash2, ARRAY_TYPE(uint32_t) *found)
{
	uint64_t hashes[CHUNK], offset;
	uint32_t n;

	if (file->left == 0 || file->hashes != NULL) {
		search_hashes(file->hashes + first, count, first, hash1, hash2,
			      found);
		return 0;
	}
	offset = file_records_offset(file);
	for (; count > 0; first += n, count -= n) {
		n = I_MIN(count, CHUNK);
		if (pread_full(file->fd, hashes, n * sizeof(*hashes), offset +
			       first * (uint64_t)sizeof(*hashes)) <= 0)
			return -1;
		search_hashes(hashes, n, first, hash1, hash2, found);
	}
	return file_is_same(file) ? 0 : -1;
}

uint32_t recall_index_file_get_uid(const struct recall_index_file *file,
				   uint32_t idx)
{
	uint32_t uid;

	if (file->left == 0 || file->hashes != NULL)
		return file->uids[idx];
	if (pread_full(file->fd, &uid, sizeof(uid), file_records_offset(file) +
		       file->count * (uint64_t)sizeof(uint64_t) +
		       idx * (uint64_t)sizeof(uid)) <= 0 || !file_is_same(file))
		return 0;
	return uid;
}
