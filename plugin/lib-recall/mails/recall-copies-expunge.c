#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "failpoint.h"
#include "recall-copies.h"
#include "recall-copies-private.h"
#include "recall-expunge-log.h"
#include "recall-list-index.h"
#include "recall-mail-iter.h"
#include "recall-match.h"
#include "recall-scan.h"
#include "recall-sdbox-dir.h"

static int
copies_commit(struct recall_copies_box *cbox, struct recall_mail_iter *iter)
{
	int ret;

	recall_list_index_begin(cbox->box);
	ret = recall_mail_iter_commit(iter);
	recall_list_index_end(cbox->box);
	return ret;
}

static void copies_add_expunged(struct recall_copies *copies,
				struct recall_copies_box *cbox)
{
	struct recall_copies_expunged *ebox;

	if (array_is_empty(&cbox->expunged))
		return;
	ebox = recall_copies_get_expunged(copies, copies->passes, cbox);
	if (ebox == NULL) {
		ebox = array_append_space(&copies->expunged_boxes);
		ebox->vname = p_strdup(copies->pool,
				       mailbox_get_vname(cbox->box));
		guid_128_copy(ebox->guid, cbox->guid);
		p_array_init(&ebox->uids, copies->pool, 2);
	}
	ebox->dirs = cbox->dirs;
	ebox->pass = copies->passes;
	seq_range_array_merge(&cbox->counted, &cbox->expunged);
	seq_range_array_remove_seq_range(&cbox->counted, &ebox->uids);
	seq_range_array_merge(&ebox->uids, &cbox->counted);
	copies->expunged += seq_range_count(&cbox->counted);
}

/* Dovecot waits for the lock of a Maildir, and if that was in vain then it says
   that it has synced the mailbox: only the last error tells. */
static bool copies_lock_timed_out(const struct recall_copies_box *cbox)
{
	enum mail_error error;

	return strcmp(mailbox_get_last_error(cbox->box, &error),
		      MAIL_ERRSTR_LOCK_TIMEOUT) == 0;
}

/* A mailbox that was synced does not have them any more. If it does, Dovecot
   has waited in vain for a lock, or it has rebuilt the mailbox meanwhile and
   forgotten what was to be expunged. */
static bool copies_are_left(const struct recall_copies_box *cbox)
{
	const struct seq_range *range;
	uint32_t seq1, seq2;

	array_foreach(&cbox->expunged, range) {
		mailbox_get_seq_range(cbox->box, range->seq1, range->seq2,
				      &seq1, &seq2);
		if (seq1 != 0)
			return TRUE;
	}
	return FALSE;
}

/* It takes a while to put copies into the quarantine: whether one has been read
   since. */
static bool
copies_must_stay(const struct recall_copies *copies,
		 const struct recall_copies_box *cbox)
{
	struct recall_mail_iter iter;
	struct mail *mail;
	bool read = FALSE;

	if (!copies->spare_read || cbox->outgoing)
		return FALSE;
	recall_mail_iter_init(&iter, cbox->box, &cbox->uids, MAIL_FETCH_FLAGS,
			      NULL);
	while (!read && (mail = recall_mail_iter_next(&iter)) != NULL)
		read = recall_match_is_read(mail);
	recall_mail_iter_rollback(&iter);
	return read;
}

/* Returns FALSE if nothing was expunged. dir_fd_r: see recall-sdbox-dir.h. */
static bool
copies_expunge_mails(struct recall_copies *copies,
		     struct recall_copies_box *cbox, int *dir_fd_r)
{
	struct recall_expunge_log log;
	struct recall_mail_iter iter;
	struct mail *mail;

	recall_mail_iter_init(&iter, cbox->box, &cbox->uids, 0, NULL);
	while ((mail = recall_mail_iter_next(&iter)) != NULL) {
		mail_expunge(mail);
		seq_range_array_add(&cbox->expunged, mail->uid);
	}
	recall_expunge_log_init(&log, iter.trans);
	RECALL_FAILPOINT("expunge-commit");
	if (!recall_sdbox_dir_open(cbox->box, dir_fd_r)) {
		/* the next look finds them elsewhere */
		recall_mail_iter_rollback(&iter);
		array_clear(&cbox->expunged);
		return FALSE;
	}
	if (copies_commit(cbox, &iter) < 0) {
		cbox->expunge_failed = TRUE;
		recall_copies_failed(copies, cbox->box, "Expunging from");
		return FALSE;
	}
	recall_expunge_log_drop_others(&log, &cbox->expunged);
	RECALL_FAILPOINT("expunge-sync");
	return TRUE;
}

/* They stay, or may do so. */
static void
copies_not_expunged(struct recall_copies *copies,
		    struct recall_copies_box *cbox, const char *error)
{
	cbox->expunge_failed = TRUE;
	if (copies->error != NULL)
		return;
	copies->error = p_strdup_printf(copies->pool,
		"Expunging from mailbox %s failed: %s",
		mailbox_get_vname(cbox->box), error);
}

static void copies_expunge_sync(struct recall_copies *copies,
				struct recall_copies_box *cbox, int dir_fd)
{
	const char *error;

	mail_storage_clear_error(cbox->box->storage);
	if (recall_copies_sync(cbox, TRUE) < 0) {
		cbox->expunge_failed = TRUE;
		recall_copies_failed(copies, cbox->box, "Syncing");
	} else if (copies_lock_timed_out(cbox) && copies_are_left(cbox)) {
		/* the next try would wait in vain, too */
		copies_not_expunged(copies, cbox,
				    "Another process has it locked");
	} else if (recall_sdbox_dir_clean(cbox->box, dir_fd, &cbox->expunged,
					  &error) < 0) {
		copies_not_expunged(copies, cbox, error);
	} else {
		/* what Dovecot has brought back the next look finds */
		copies_add_expunged(copies, cbox);
		RECALL_FAILPOINT("expunged");
		if (!cbox->others && !copies_are_left(cbox) &&
		    seq_range_count(&cbox->expunged) ==
		    seq_range_count(&cbox->uids)) {
			recall_scan_set_emptied(copies->scan, cbox->box);
			RECALL_FAILPOINT("emptied");
		}
	}
}

/* Returns FALSE if it must not be expunged from. */
static bool copies_prepare_box(struct recall_copies *copies,
			       struct recall_copies_box *cbox)
{
	/* The view is the one that the decision was taken from, flags
	   included. */
	if (copies->synced)
		return TRUE;
	/* what is gone by now was not deleted by us */
	if (recall_copies_sync(cbox, FALSE) < 0) {
		recall_copies_failed(copies, cbox->box, "Syncing");
		return FALSE;
	}
	return !copies_must_stay(copies, cbox);
}

static void copies_expunge_box(struct recall_copies *copies,
			       struct recall_copies_box *cbox)
{
	int dir_fd = -1;

	p_array_init(&cbox->expunged, copies->pool, 2);
	p_array_init(&cbox->counted, copies->pool, 2);
	if (copies_expunge_mails(copies, cbox, &dir_fd))
		copies_expunge_sync(copies, cbox, dir_fd);
	i_close_fd(&dir_fd);
}

/* All or none: looks at each before the first is expunged from. */
static bool copies_may_expunge(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;
	bool ret = TRUE;

	if (!copies->spare_read || array_count(&copies->boxes) == 1)
		return TRUE;
	array_foreach_modifiable(&copies->boxes, cbox) T_BEGIN {
		ret = ret && copies_prepare_box(copies, cbox);
	} T_END;
	return ret;
}

void recall_copies_expunge(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;
	unsigned int expunged = 0;
	bool go_on;

	copies->passes++;
	copies->read_before = copies->read_before || copies->read;
	go_on = copies_may_expunge(copies);
	array_foreach_modifiable(&copies->boxes, cbox) T_BEGIN {
		if (!go_on) {
			/* they stay */
		} else if (!copies_prepare_box(copies, cbox)) {
			go_on = !copies->spare_read;
		} else {
			copies_expunge_box(copies, cbox);
			if (!cbox->expunge_failed)
				expunged += seq_range_count(&cbox->expunged);
		}
	} T_END;
	copies->taken = expunged < copies->count;
}
