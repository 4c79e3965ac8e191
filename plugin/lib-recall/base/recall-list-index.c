#include "lib.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "mailbox-list-index.h"
#include "recall-list-index.h"

static void list_index_read(struct mailbox_list *list)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(list);
	struct mail_index_view *view;

	if (ilist == NULL || !ilist->has_backing_store || ilist->syncing ||
	    ilist->mailbox_tree != NULL ||
	    mailbox_list_index_index_open(list) < 0)
		return;
	if (mail_index_refresh(ilist->index) < 0) {
		mail_index_reset_error(ilist->index);
		return;
	}
	view = mail_index_view_open(ilist->index);
	if (!mailbox_list_index_need_refresh(ilist, view) &&
	    mailbox_list_index_parse(list, view, TRUE) < 0)
		mailbox_list_index_reset(ilist);
	mail_index_view_close(&view);
}

void recall_list_index_begin(struct mailbox *box)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(box->list);

	if (ilist == NULL || !ilist->has_backing_store)
		return;
	if (MAILBOX_IS_NEVER_IN_INDEX(box)) {
		/* as if it was done already */
		ilist->updating_status = TRUE;
	} else {
		list_index_read(box->list);
	}
}

void recall_list_index_end(struct mailbox *box)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(box->list);

	if (ilist != NULL && ilist->has_backing_store)
		ilist->updating_status = FALSE;
}

void recall_list_index_set_silent(struct mailbox_list *list, bool silent)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(list);

	if (ilist != NULL && ilist->has_backing_store)
		ilist->updating_status = silent;
}

void recall_list_index_forget(struct mailbox_list *list)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(list);

	if (ilist == NULL || ilist->syncing)
		return;
	if (ilist->has_backing_store && ilist->mailbox_tree != NULL)
		mailbox_list_index_reset(ilist);
	/* a second refresh in the same round of the ioloop does nothing */
	i_zero(&ilist->last_refresh_timeval);
}
