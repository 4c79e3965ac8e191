#include "lib.h"
#include "array.h"
#include "str.h"
#include "recall-names.h"
#include "recall-quarantine.h"
#include "recall-quarantine-record.h"

int recall_quarantine_preview(struct recall_quarantine *q, pool_t pool,
			      const char *recall_id,
			      struct recall_quarantine_restored *restored_r,
			      const char **error_r)
{
	const struct recall_quarantine_record_box *rbox;
	const struct recall_quarantine_box *qbox;
	struct recall_quarantine_record record;
	ARRAY_TYPE(recall_quarantine_box) boxes;
	string_t *mailboxes = str_new(pool, 64), *guids = str_new(pool, 64);
	unsigned int copies;
	int ret;

	i_zero(restored_r);
	ret = recall_quarantine_record_read(q, pool, recall_id, &record,
					    error_r);
	if (ret < 0 ||
	    recall_quarantine_list(q, pool, recall_id, &boxes, error_r) < 0)
		return -1;
	restored_r->found = ret > 0;
	array_foreach(&boxes, qbox) {
		if (guid_128_is_empty(qbox->guid) || qbox->nonexistent)
			continue;
		restored_r->found = TRUE;
		copies = 0;
		if (recall_quarantine_box_count(q, qbox, &copies, error_r) < 0)
			return -1;
		rbox = ret == 0 ? NULL :
			recall_quarantine_record_find(&record, qbox->guid);
		restored_r->copies += copies;
		recall_names_append(mailboxes, rbox == NULL ? "" : rbox->vname);
		recall_names_append(guids, guid_128_to_string(qbox->guid));
	}
	restored_r->mailboxes = str_c(mailboxes);
	restored_r->guids = str_c(guids);
	return 0;
}
