#include "lib.h"
#include "array.h"
#include "recall-index-sum.h"

static void sum_next(struct recall_index_sum *sum)
{
	if (!recall_index_box_iter_next(&sum->iter, &sum->rec))
		sum->rec.uid = (uint32_t)-1;
}

void recall_index_sum_init(struct recall_index_sum *sum,
			   const struct recall_index_file *file,
			   const struct recall_index_box *box)
{
	recall_index_box_iter_init(&sum->iter, file, box);
	sum->sum = RECALL_INDEX_SUM_NOTHING;
	if (box != NULL)
		sum->sum += box->dropped;
	sum_next(sum);
}

static void sum_reach(struct recall_index_sum *sum, uint32_t uid)
{
	while (sum->rec.uid < uid) {
		sum->sum += recall_index_sum_rec(&sum->rec);
		sum_next(sum);
	}
}

uint32_t recall_index_sum_until(struct recall_index_sum *sum, uint32_t uid,
				const struct recall_index_rec *recs,
				unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		sum_reach(sum, recs[i].uid);
		if (sum->rec.uid == recs[i].uid)
			sum_next(sum);
		sum->sum += recall_index_sum_rec(&recs[i]);
	}
	sum_reach(sum, uid);
	return sum->sum;
}
