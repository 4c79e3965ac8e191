#include "lib.h"
#include "mail-storage-private.h"
#include "recall-index-fence.h"
#include "recall-index-pass.h"

static bool keep_record(const struct recall_index_box *rbox, uint32_t uid,
			void *context)
{
	struct recall_index_pass *pass = context;
	uint32_t seq;

	/* What was saved meanwhile is not in the view. A record beyond the
	   fence is not in its sum. */
	return uid == 0 || rbox->uid_validity != pass->uid_validity ||
		!guid_128_equals(rbox->guid, pass->guid) ||
		uid >= pass->next_uid || uid >= pass->fence.uid ||
		mail_index_lookup_seq(pass->box->view, uid, &seq);
}

/* Drops records that nobody needs: old ones, and those of messages that have
   gone. */
static void pass_clean(struct recall_index_pass *pass)
{
	struct mailbox *box = pass->box;
	const char *error;
	int ret;

	if (pass->path == NULL)
		return;
	ret = recall_index_fence_drop_old(box->index);
	if (ret > 0) {
		if (box->index->need_recreate == NULL)
			box->index->need_recreate =
				i_strdup("Message-IDs moved");
		ret = mailbox_sync(box, 0);
	}
	if (ret < 0) {
		mail_index_reset_error(box->index);
		recall_index_pass_write_failed(pass, "Can't drop old records");
	}
	if (recall_index_file_compact(box->list, pass->path, keep_record, pass,
				      &error) < 0)
		recall_index_pass_write_failed(pass, error);
}

int recall_index_update(struct mailbox *box, bool verify,
			struct recall_index_stats *stats_r)
{
	struct recall_index_pass pass = {
		.box = box,
		.verify = verify,
	};
	int ret;

	if (mailbox_open(box) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	T_BEGIN {
		ret = recall_index_pass_run(&pass);
		if (ret == 0 && !pass.write_failed)
			pass_clean(&pass);
	} T_END;
	*stats_r = pass.stats;
	guid_128_copy(stats_r->id.guid, pass.guid);
	stats_r->id.uid_validity = pass.uid_validity;
	if (ret == 0 && pass.write_failed) {
		/* why was logged */
		mail_storage_set_error(box->storage, MAIL_ERROR_TEMP,
			"The Message-ID index can't be written: see the log");
		ret = -1;
	}
	return ret;
}
