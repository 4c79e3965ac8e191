#include "lib.h"
#include "mail-index-private.h"
#include "mail-storage-private.h"
#include "recall-index-stamp.h"
#include "recall-mail-log.h"

/* Octets of the log that may be gone through: about eight deliveries. */
#define BEHIND_MAX 1024

bool recall_mail_log_is_behind(struct mailbox *box)
{
	const struct mail_index_header *hdr;

	/* with others it is for their own syncs to say */
	if ((box->flags & MAILBOX_FLAG_POST_SESSION) == 0 || !box->opened ||
	    !recall_index_is_dbox(box->storage) ||
	    mail_index_is_in_memory(box->index))
		return FALSE;
	hdr = &box->index->map->hdr;
	return hdr->log_file_tail_offset < hdr->log_file_head_offset &&
		hdr->log_file_head_offset - hdr->log_file_tail_offset >
		BEHIND_MAX;
}

void recall_mail_log_catch_up(struct mailbox *box)
{
	struct mail_index_sync_ctx *ctx;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	struct mail_index_sync_rec rec;
	int ret;

	if (box->index->syncing)
		return;
	ret = mail_index_sync_begin(box->index, &ctx, &view, &trans,
				    MAIL_INDEX_SYNC_FLAG_UPDATE_TAIL_OFFSET);
	if (ret > 0) {
		/* what is wanted is for the storage to do */
		if (mail_index_sync_next(ctx, &rec))
			mail_index_sync_rollback(&ctx);
		else
			ret = mail_index_sync_commit(&ctx);
	}
	/* nothing depends on it */
	if (ret < 0)
		mail_index_reset_error(box->index);
}
