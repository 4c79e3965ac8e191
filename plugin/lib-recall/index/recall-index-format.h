#ifndef RECALL_INDEX_FORMAT_H
#define RECALL_INDEX_FORMAT_H

#include "guid.h"

/* How the index lies in its file: see recall-index-file.h. */

#define RECALL_INDEX_MAGIC 0x78646952U
/* Increased whenever the meaning of anything in it changes. */
#define RECALL_INDEX_VERSION 4
/* Of more than two million messages. A longer file is none of ours: it is read
   into memory, and to compact it takes five times as much. Where that is not to
   be had (vsz_limit) the process ends, and with it what it does for others. */
#define RECALL_INDEX_SIZE_MAX (32 * 1024 * 1024)
/* So it is with a longer tail: it should have been compacted long before. And
   with more mailboxes in the table. */
#define RECALL_INDEX_TAIL_MAX (8 * 1024 * 1024)
#define RECALL_INDEX_BOXES_MAX (64 * 1024)
/* Messages that one transaction adds to the tail; of more, catch-up takes some
   at a time. */
#define RECALL_INDEX_SAVE_MAX (256 * 1024)
/* Octets of the names of a list's mailboxes: of some ten thousand. Those of a
   longer list are asked for each time. */
#define RECALL_INDEX_NAMES_MAX (256 * 1024)

struct recall_index_header {
	uint32_t magic, version;
	/* of the header, with 0 in here, and the table */
	uint32_t crc;
	uint32_t boxes;
	uint32_t records;
	/* octets of the blocks that the compaction put at the tail's start */
	uint32_t kept;
	/* where the tail begins */
	uint64_t base_size;
};

struct recall_index_table {
	guid_128_t guid;
	uint32_t uid_validity;
	uint32_t first, count;
	/* sum of the records that compactions have dropped */
	uint32_t dropped;
	uint64_t name, stamp;
};

enum recall_index_block_type {
	/* records of hash (8 octets) and UID (4) */
	RECALL_INDEX_BLOCK_MAILS = 1,
	/* name and stamp (8 octets each) */
	RECALL_INDEX_BLOCK_STAMP = 2,
	/* stamp (8 octets) and names, each ending with NUL, of the mailboxes
	   of a list, whose root is in the place of the GUID */
	RECALL_INDEX_BLOCK_NAMES = 3
};

struct recall_index_block {
	/* All of the block. Repeated in its last four octets, so that the last
	   block of the file can be found from its end. */
	uint32_t size;
	/* of all that follows, up to the size at the end */
	uint32_t crc;
	uint32_t type;
	uint32_t uid_validity;
	guid_128_t guid;
};

#define RECALL_INDEX_REC_SIZE (sizeof(uint64_t) + sizeof(uint32_t))
#define RECALL_INDEX_BLOCK_MIN \
	(sizeof(struct recall_index_block) + sizeof(uint32_t))

/* Returns the size of the block at data, or 0 if there is no whole one. */
size_t recall_index_block_check(const unsigned char *data, size_t size);
/* Whether an index is none of ours, but made to keep us busy: its tail is too
   long, or it has so many mailboxes, and so long a tail, that to find out which
   record is whose takes more than a few seconds. size is that of the tail. */
bool recall_index_is_absurd(uint64_t boxes, uint64_t size);
/* Returns the end of the last block of the file: all that begin at pos or later
   are read for it. */
uoff_t recall_index_find_end(int fd, uoff_t pos, uoff_t size);
/* Returns FALSE if it's not the header of an index that we know; size is that
   of the file. */
bool recall_index_header_check(const struct recall_index_header *hdr,
			       uint64_t size);
/* Returns FALSE if header or table are damaged, or the table is wrong; the
   header is one that recall_index_header_check() knows. */
bool recall_index_table_check(const struct recall_index_header *hdr,
			      const struct recall_index_table *table);
uint32_t recall_index_header_crc(const struct recall_index_header *hdr,
				 const void *table);

#endif
