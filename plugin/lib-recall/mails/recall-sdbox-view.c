#include "lib.h"
#include "mail-index-private.h"
#include "mail-index-view-private.h"
#include "mail-storage-private.h"
#include "sdbox-storage.h"
#include "recall-sdbox-view.h"

/* where syncs open theirs */
#define SYNC_FILENAME "mail-index-sync.c"

void recall_sdbox_view_close(struct mailbox *box)
{
	struct mail_index_view *view, *next;

	if (strcmp(box->storage->name, SDBOX_STORAGE_NAME) != 0 ||
	    box->index == NULL || box->index->syncing)
		return;
	for (view = box->index->views; view != NULL; view = next) {
		next = view->next;
		if (strcmp(view->source_filename, SYNC_FILENAME) == 0)
			mail_index_view_close(&view);
	}
}
