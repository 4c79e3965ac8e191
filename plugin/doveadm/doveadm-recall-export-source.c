#include "lib.h"
#include "array.h"
#include "guid.h"
#include "mail-storage.h"
#include "failpoint.h"
#include "doveadm-recall-export-source.h"

static int
export_open_box(struct recall_quarantine *q,
		const struct recall_quarantine_box *qbox,
		struct recall_export_source *source, const char **error_r)
{
	struct recall_export_box ebox;
	int ret;

	i_zero(&ebox);
	guid_128_copy(ebox.guid, qbox->guid);
	ret = recall_quarantine_box_read(q, qbox, &ebox.box, &ebox.uids,
					 error_r);
	if (ret > 0)
		array_push_back(&source->boxes, &ebox);
	return ret < 0 ? -1 : 0;
}

void recall_export_source_deinit(struct recall_export_source *source)
{
	struct recall_export_box *ebox;

	array_foreach_modifiable(&source->boxes, ebox)
		mailbox_free(&ebox->box);
	array_clear(&source->boxes);
	pool_unref(&source->pool);
}

/* Finds what there is. Returns 0 if there is nothing, -1 on errors. */
static int
export_source_find(struct recall_quarantine *q, pool_t pool,
		   const char *recall_id,
		   const uint8_t *mailbox_guid,
		   struct recall_export_source *source_r,
		   ARRAY_TYPE(recall_quarantine_box) *boxes_r,
		   const char **error_r)
{
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	int ret;

	i_zero(source_r);
	source_r->pool = pool;
	t_array_init(&source_r->boxes, 4);
	t_array_init(boxes_r, 4);
	ret = recall_quarantine_record_read(q, pool, recall_id,
					    &source_r->record, error_r);
	if (ret < 0)
		return -1;
	RECALL_FAILPOINT("export-recorded");
	source_r->known = ret > 0;
	if (recall_quarantine_list(q, pool_datastack_create(), recall_id,
				   &boxes, error_r) < 0)
		return -1;
	if (source_r->known) {
		recall_quarantine_add_unlisted(q, pool_datastack_create(),
					       &source_r->record, &boxes);
	}
	array_foreach(&boxes, qbox) {
		if (!guid_128_is_empty(qbox->guid) && !qbox->nonexistent &&
		    (mailbox_guid == NULL ||
		     guid_128_equals(qbox->guid, mailbox_guid)))
			array_push_back(boxes_r, qbox);
	}
	return source_r->known || array_count(boxes_r) > 0 ? 1 : 0;
}

int recall_export_source_init(struct recall_quarantine *q,
			      const char *recall_id,
			      const uint8_t *mailbox_guid,
			      struct recall_export_source *source_r,
			      const char **error_r)
{
	pool_t pool = pool_alloconly_create("recall export", 1024);
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	int ret;

	ret = export_source_find(q, pool, recall_id, mailbox_guid, source_r,
				 &boxes, error_r);
	/* nothing is locked for who has nothing, nor for one message */
	if (ret > 0 && mailbox_guid == NULL) {
		if (recall_quarantine_lock(q, error_r) < 0) {
			recall_export_source_deinit(source_r);
			return -1;
		}
		ret = export_source_find(q, pool, recall_id, mailbox_guid,
					 source_r, &boxes, error_r);
	}
	array_foreach(&boxes, qbox) {
		if (ret > 0 &&
		    export_open_box(q, qbox, source_r, error_r) < 0)
			ret = -1;
	}
	recall_quarantine_unlock(q);
	if (ret < 0)
		recall_export_source_deinit(source_r);
	return ret;
}
