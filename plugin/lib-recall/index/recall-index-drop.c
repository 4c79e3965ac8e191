#include "lib.h"
#include "array.h"
#include "mailbox-list-private.h"
#include "recall-index-file.h"
#include "recall-index.h"

static bool
keep_box(const struct recall_index_box *rbox, uint32_t uid ATTR_UNUSED,
	 void *context)
{
	const ARRAY_TYPE(recall_index_id) *ids = context;
	const struct recall_index_id *id;

	array_foreach(ids, id) {
		if (rbox->uid_validity == id->uid_validity &&
		    guid_128_equals(rbox->guid, id->guid))
			return TRUE;
	}
	return FALSE;
}

static bool index_has_others(struct recall_index_file *file,
			     const ARRAY_TYPE(recall_index_id) *ids)
{
	const struct recall_index_box *rbox;

	array_foreach(&file->boxes, rbox) {
		if (!keep_box(rbox, 0, (void *)ids))
			return TRUE;
	}
	return FALSE;
}

void recall_index_drop_others(struct mailbox_list *list,
			      const ARRAY_TYPE(recall_index_id) *ids)
{
	const char *error, *path = recall_index_file_get_path(list);
	struct recall_index_file *file;
	int ret;

	if (path == NULL)
		return;
	ret = recall_index_file_read(path, &file, &error);
	if (ret == 0 && index_has_others(file, ids)) {
		ret = recall_index_file_compact(list, path, keep_box,
						(void *)ids, &error);
	}
	recall_index_file_unref(&file);
	if (ret < 0) {
		e_warning(list->ns->user->event,
			  "recall: Can't compact the Message-ID index: %s",
			  error);
	}
}
