#include "lib.h"
#include "mail-storage-private.h"
#include "recall-sync.h"

/* No index has this extension. It is known to Dovecot nevertheless, as what it
   is taken for is, in case that a plugin has it written. */
#define NO_SIZES_EXT_NAME "recall-no-sizes"

int recall_sync_expunged(struct mailbox *box)
{
	const uint32_t ext_id = box->vsize_hdr_ext_id;
	struct mailbox_sync_context *ctx;
	struct mailbox_sync_status status;
	int ret;

	/* this expunges, and takes what was counted off the sum */
	ctx = mailbox_sync_init(box, MAILBOX_SYNC_FLAG_FIX_INCONSISTENT);
	if (box->opened) {
		box->vsize_hdr_ext_id = mail_index_ext_register(box->index,
			NO_SIZES_EXT_NAME, sizeof(struct mailbox_index_vsize),
			0, sizeof(uint64_t));
	}
	ret = mailbox_sync_deinit(&ctx, &status);
	box->vsize_hdr_ext_id = ext_id;
	return ret;
}
