#ifndef RECALL_INDEX_SUM_H
#define RECALL_INDEX_SUM_H

#include "recall-index-file.h"

/* A sum of a mailbox's records: whoever adds some adds theirs, without having
   to know the others. Those that a compaction has dropped stay in it. */

#define RECALL_INDEX_SUM_UNKNOWN ((uint32_t)0)
#define RECALL_INDEX_SUM_NOTHING ((uint32_t)1)

/* What a record adds. */
static inline uint32_t recall_index_sum_rec(const struct recall_index_rec *rec)
{
	uint64_t value = rec->hash ^ (rec->uid * 0x9e3779b97f4a7c15ULL);

	value = (value ^ (value >> 32)) * 0xbf58476d1ce4e5b9ULL;
	return value >> 32;
}

/* Goes through a mailbox's records in the order of UIDs, and adds them up. */
struct recall_index_sum {
	struct recall_index_box_iter iter;
	/* the next one, or UID (uint32_t)-1 */
	struct recall_index_rec rec;
	uint32_t sum;
};

/* box may be NULL: it has no records. */
void recall_index_sum_init(struct recall_index_sum *sum,
			   const struct recall_index_file *file,
			   const struct recall_index_box *box);
/* Goes on, and returns the sum of all records below the UID. recs take the
   place of those in the file; their UIDs ascend, and are below this one, but
   not below the one before. */
uint32_t recall_index_sum_until(struct recall_index_sum *sum, uint32_t uid,
				const struct recall_index_rec *recs,
				unsigned int count);

#endif
