#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "failpoint.h"
#include "recall-copies.h"
#include "recall-quarantine.h"
#include "recall-mails.h"
#include "recall-quarantine-record.h"

#include <time.h>

static int
quarantine_record(struct recall_quarantine *q,
		  const struct recall_quarantine_record *recall,
		  const struct recall_copies *copies, const char **error_r)
{
	struct recall_quarantine_record record;
	struct recall_quarantine_record_box *rbox;
	const struct recall_copies_box *cbox;
	bool complete;
	int ret;

	ret = recall_quarantine_record_read(q, pool_datastack_create(),
					    recall->recall_id, &record,
					    error_r);
	if (ret < 0)
		return -1;
	complete = ret > 0;
	array_foreach(&copies->boxes, cbox) {
		if (recall_quarantine_record_find(&record, cbox->guid) == NULL)
			complete = FALSE;
	}
	if (complete)
		return 0;

	record = *recall;
	record.recalled = time(NULL);
	record.subject = copies->subject;
	record.from = copies->from;
	record.date = copies->date;
	t_array_init(&record.boxes, array_count(&copies->boxes));
	array_foreach(&copies->boxes, cbox) {
		rbox = array_append_space(&record.boxes);
		guid_128_copy(rbox->guid, cbox->guid);
		rbox->vname = mailbox_get_vname(cbox->box);
		rbox->copies = seq_range_count(&cbox->uids);
	}
	return recall_quarantine_record_write(q, &record, error_r);
}

static int
quarantine_add_box(struct recall_quarantine *q, const char *recall_id,
		   struct recall_copies_box *cbox, const char **error_r)
{
	ARRAY_TYPE(seq_range) present;
	ARRAY_TYPE(const_string) guids;
	struct mailbox *box;
	unsigned int copied;
	int ret;

	if (recall_quarantine_box_open(q, recall_id, cbox->guid, TRUE, &box,
				       error_r) < 0)
		return -1;
	RECALL_FAILPOINT("quarantine-box");
	t_array_init(&present, 4);
	t_array_init(&guids, 4);
	ret = recall_mails_get_all(box, &present, error_r);
	if (ret == 0) {
		ret = recall_mails_get_guids(box, &present, &guids, error_r);
	}
	if (ret == 0) {
		ret = recall_mails_copy(cbox->box, &cbox->uids, box, FALSE,
					&guids, &copied, error_r);
	}
	mailbox_free(&box);
	return ret;
}

int recall_quarantine_add(struct recall_quarantine *q,
			  const struct recall_quarantine_record *recall,
			  struct recall_copies *copies,
			  const char **error_r)
{
	struct recall_copies_box *cbox;
	int ret;

	i_assert(q->lock != NULL);

	RECALL_FAILPOINT("quarantine-begin");
	if (quarantine_record(q, recall, copies, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("quarantine-recorded");
	array_foreach_modifiable(&copies->boxes, cbox) {
		ret = quarantine_add_box(q, recall->recall_id, cbox, error_r);
		if (ret < 0)
			return -1;
		RECALL_FAILPOINT("quarantine-copied");
	}
	return 0;
}
