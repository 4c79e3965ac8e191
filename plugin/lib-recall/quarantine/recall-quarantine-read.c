#include "lib.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mailbox-list.h"
#include "recall-index.h"
#include "recall-mails.h"
#include "recall-message-id.h"
#include "recall-quarantine.h"
#include "recall-quarantine-record.h"
#include "recall-quarantine-read.h"

#include <dirent.h>

void
recall_quarantine_add_unlisted(struct recall_quarantine *q, pool_t pool,
			       const struct recall_quarantine_record *record,
			       ARRAY_TYPE(recall_quarantine_box) *boxes)
{
	const struct recall_quarantine_record_box *rbox;
	const struct recall_quarantine_box *qbox;
	struct recall_quarantine_box *unlisted;
	bool listed;

	if (record->restored != 0)
		return;
	array_foreach(&record->boxes, rbox) {
		listed = FALSE;
		array_foreach(boxes, qbox) {
			if (guid_128_equals(qbox->guid, rbox->guid))
				listed = TRUE;
		}
		if (listed || rbox->copies == 0)
			continue;
		unlisted = array_append_space(boxes);
		unlisted->recall_id = record->recall_id;
		unlisted->vname = recall_quarantine_box_get_vname(q, pool,
			record->recall_id, rbox->guid);
		guid_128_copy(unlisted->guid, rbox->guid);
	}
}

static bool dir_is_empty(const char *path)
{
	const struct dirent *d;
	DIR *dir = opendir(path);
	bool empty;

	if (dir == NULL)
		return errno == ENOENT;
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			break;
	}
	empty = d == NULL && errno == 0;
	(void)closedir(dir);
	return empty;
}

bool recall_quarantine_boxes_are_empty(struct recall_quarantine *q,
	const ARRAY_TYPE(recall_quarantine_box) *boxes)
{
	const struct recall_quarantine_box *qbox;
	const char *path;

	array_foreach(boxes, qbox) {
		if (!qbox->nonexistent ||
		    mailbox_list_get_path(q->ns->list,
			mailbox_list_get_storage_name(q->ns->list, qbox->vname),
			MAILBOX_LIST_PATH_TYPE_DIR, &path) <= 0 ||
		    !dir_is_empty(path))
			return FALSE;
	}
	return TRUE;
}

int recall_quarantine_read(struct recall_quarantine *q,
			   const struct recall_quarantine_record *record,
			   recall_quarantine_read_callback_t *callback,
			   void *context, const char **error_r)
{
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	ARRAY_TYPE(seq_range) uids;
	struct mailbox *box;
	int ret;

	if (recall_quarantine_list(q, pool_datastack_create(),
				   record->recall_id, &boxes, error_r) < 0)
		return -1;
	recall_quarantine_add_unlisted(q, pool_datastack_create(), record,
				       &boxes);
	array_foreach(&boxes, qbox) {
		if (guid_128_is_empty(qbox->guid) || qbox->nonexistent)
			continue;
		ret = recall_quarantine_box_read(q, qbox, &box, &uids,
						 error_r);
		if (ret > 0) {
			ret = callback(qbox, box, &uids, context, error_r);
			mailbox_free(&box);
		}
		if (ret < 0)
			return -1;
	}
	return 0;
}

static int
quarantine_count_box(const struct recall_quarantine_box *qbox ATTR_UNUSED,
		     struct mailbox *box ATTR_UNUSED,
		     const ARRAY_TYPE(seq_range) *uids, void *context,
		     const char **error_r ATTR_UNUSED)
{
	unsigned int *copies = context;

	*copies += seq_range_count(uids);
	return 0;
}

int recall_quarantine_count(struct recall_quarantine *q,
			    const struct recall_quarantine_record *record,
			    unsigned int *copies_r, const char **error_r)
{
	*copies_r = 0;
	return recall_quarantine_read(q, record, quarantine_count_box,
				      copies_r, error_r);
}

/* How many messages of the recall's Message-ID there are in the mailbox. */
static int
box_count_message_id(const struct recall_quarantine_record *record,
		     struct mailbox *box, unsigned int *count_r,
		     const char **error_r)
{
	struct recall_message_id id;
	ARRAY_TYPE(seq_range) uids;

	*count_r = 0;
	if (record->message_id == NULL ||
	    recall_message_id_parse(record->message_id,
				    strlen(record->message_id), &id) !=
	    RECALL_MESSAGE_ID_OK)
		return 0;
	t_array_init(&uids, 4);
	if (recall_index_find(box, &id, 0, NULL, &uids) < 0) {
		*error_r = t_strdup_printf("Searching mailbox %s failed: %s",
			mailbox_get_vname(box),
			mailbox_get_last_internal_error(box, NULL));
		return -1;
	}
	*count_r = seq_range_count(&uids);
	return 0;
}

int recall_quarantine_check_count(
	const struct recall_quarantine_record *record,
	const struct recall_quarantine_record_box *rbox, struct mailbox *src,
	unsigned int count, struct mailbox *dest, const char **error_r)
{
	unsigned int there;

	if (rbox == NULL || count >= rbox->sure ||
	    recall_mails_are_files(src))
		return 1;
	if (box_count_message_id(record, dest, &there, error_r) < 0)
		return -1;
	if (there >= rbox->sure)
		return 1;
	*error_r = t_strdup_printf("Mailbox %s has %u of the %u copies that "
		"were recorded, and stays: doveadm force-resync may find more",
		mailbox_get_vname(src), count, rbox->sure);
	return 0;
}
