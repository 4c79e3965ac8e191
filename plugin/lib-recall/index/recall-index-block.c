#include "lib.h"
#include "buffer.h"
#include "crc32.h"
#include "recall-index-file.h"
#include "recall-index-format.h"

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
