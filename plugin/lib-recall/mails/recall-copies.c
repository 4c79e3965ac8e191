#include "lib.h"
#include "array.h"
#include "str.h"
#include "time-util.h"
#include "mail-storage-private.h"
#include "recall-boxes.h"
#include "failpoint.h"
#include "recall-expunge-log.h"
#include "recall-find.h"
#include "recall-index-stamp.h"
#include "recall-limits.h"
#include "recall-list-index.h"
#include "recall-scan.h"
#include "recall-sdbox-dir.h"
#include "recall-sync.h"
#include "recall-mail-iter.h"
#include "recall-match.h"
#include "recall-message-id.h"
#include "recall-names.h"
#include "recall-copies.h"

static void copies_failed(struct recall_copies *copies, struct mailbox *box,
			  const char *what)
{
	if (copies->error != NULL)
		return;
	copies->error = p_strdup_printf(copies->pool,
		"%s mailbox %s failed: %s", what, mailbox_get_vname(box),
		mailbox_get_last_internal_error(box, NULL));
}

/* The user's own sent mail and drafts say nothing about what was read. */
static bool box_is_outgoing(struct mailbox *box)
{
	return mailbox_has_special_use(box, "\\Sent") ||
		mailbox_has_special_use(box, "\\Drafts");
}

static void copies_get_header(struct recall_copies *copies, struct mail *mail,
			      const char *name, const char **value_r)
{
	const char *value;

	if (mail_get_first_header_utf8(mail, name, &value) > 0)
		*value_r = p_strdup(copies->pool, value);
}

static void copies_get_headers(struct recall_copies *copies, struct mail *mail)
{
	struct recall_message_id id;
	const char *value;

	copies_get_header(copies, mail, "Subject", &copies->subject);
	copies_get_header(copies, mail, "From", &copies->from);
	copies_get_header(copies, mail, "Date", &copies->date);
	if (mail_get_first_header(mail, "Message-ID", &value) > 0 &&
	    recall_message_id_from_header(value, strlen(value), &id))
		copies->message_id = p_strndup(copies->pool, id.data, id.len);
}

struct copies_find_context {
	struct recall_copies *copies;
	struct recall_copies_box *cbox;
	bool found;
	/* something was found by another name of the mailbox */
	bool again;
};

static void copies_find_first(struct copies_find_context *ctx)
{
	struct recall_copies_box *cbox;

	ctx->found = TRUE;
	recall_box_dirs_get(ctx->cbox->box, ctx->copies->pool,
			    &ctx->cbox->dirs);
	array_foreach_modifiable(&ctx->copies->boxes, cbox) {
		if (recall_box_dirs_are_same(&cbox->dirs, &ctx->cbox->dirs))
			ctx->again = TRUE;
	}
}

/* Where it was found by another name of its mailbox, or NULL. */
static struct recall_copies_box *
copies_find_known(struct copies_find_context *ctx, struct mail *mail)
{
	struct recall_copies_box *cbox;

	if (!ctx->again)
		return NULL;
	array_foreach_modifiable(&ctx->copies->boxes, cbox) {
		if (seq_range_exists(&cbox->uids, mail->uid) &&
		    recall_box_dirs_are_same(&cbox->dirs, &ctx->cbox->dirs))
			return cbox;
	}
	return NULL;
}

static void
copies_add(struct recall_copies *copies, struct recall_copies_box *cbox,
	   struct mail *mail)
{
	copies->count++;
	if (!copies->have_headers && !copies->nameless) {
		copies_get_headers(copies, mail);
		copies->have_headers = TRUE;
	}
	seq_range_array_add(&cbox->uids, mail->uid);
}

static bool copies_find_mail(struct mail *mail, void *context)
{
	struct copies_find_context *ctx = context;
	struct recall_copies *copies = ctx->copies;
	struct recall_copies_box *cbox;

	if (!ctx->found)
		copies_find_first(ctx);
	cbox = copies_find_known(ctx, mail);
	if (cbox == NULL) {
		cbox = ctx->cbox;
		copies_add(copies, cbox, mail);
	}
	if (!box_is_outgoing(mail->box)) {
		cbox->outgoing = FALSE;
		if (recall_match_is_read(mail))
			copies->read = cbox->read = TRUE;
	}
	return TRUE;
}

static void copies_find_in_box(struct recall_copies *copies,
			       struct mailbox *box)
{
	bool found, gone = FALSE;
	const struct recall_find_wanted wanted = {
		.fields = MAIL_FETCH_FLAGS,
		.gone = &gone,
		.expunge = copies->expunge,
		.lookup = recall_scan_find_lookup(copies->scan, box->list),
	};
	struct recall_copies_box cbox = { .box = box, .outgoing = TRUE };
	struct copies_find_context ctx = {
		.copies = copies,
		.cbox = &cbox,
	};
	struct mailbox_metadata metadata;
	unsigned int other_senders = copies->other_sender_count;

	p_array_init(&cbox.uids, copies->pool, 2);
	if (recall_find_in_box(box, copies->criteria, &wanted,
			       copies_find_mail, &ctx,
			       &copies->other_sender_count) < 0) {
		copies_failed(copies, box, "Searching");
		cbox.others = TRUE;
	}
	found = array_count(&cbox.uids) > 0;
	if (copies->other_sender_count > other_senders || gone)
		cbox.others = TRUE;
	recall_scan_add(copies->scan, box, ctx.found ||
			copies->other_sender_count > other_senders);
	if (gone) {
		recall_scan_set_uncertain(copies->scan);
		if (!box->opened) {
			copies->gone_box = p_strdup(copies->pool,
						    mailbox_get_vname(box));
		}
	}
	if (found && mailbox_get_metadata(box, MAILBOX_METADATA_GUID,
					  &metadata) < 0) {
		copies_failed(copies, box, "Reading the GUID of");
	} else if (found) {
		guid_128_copy(cbox.guid, metadata.guid);
		array_push_back(&copies->boxes, &cbox);
		return;
	}
	mailbox_free(&cbox.box);
}

static void copies_forget(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;

	array_foreach_modifiable(&copies->boxes, cbox)
		mailbox_free(&cbox->box);
	array_clear(&copies->boxes);
	copies->count = copies->other_sender_count = 0;
	copies->read = FALSE;
	copies->gone_box = NULL;
}

static bool copies_skip_box(struct recall_copies *copies, struct mailbox *box)
{
	return (copies->criteria->skip_outgoing && box_is_outgoing(box)) ||
		recall_boxes_have(&copies->lazy_places, box) ||
		recall_scan_skip(copies->scan, box);
}

static void copies_look(struct recall_copies *copies)
{
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *error;

	copies_forget(copies);
	copies->synced = FALSE;
	i_gettimeofday(&copies->looked_at);
	recall_scan_begin(copies->scan);
	iter = recall_boxes_iter_init_for(copies->user, copies->criteria,
					  copies->scan);
	while ((box = recall_boxes_iter_next(iter)) != NULL) T_BEGIN {
		RECALL_FAILPOINT("copies-look");
		if (copies_skip_box(copies, box))
			mailbox_free(&box);
		else
			copies_find_in_box(copies, box);
	} T_END;
	if (recall_boxes_iter_deinit(&iter, &error) < 0 &&
	    copies->error == NULL)
		copies->error = p_strdup(copies->pool, error);
}

void recall_copies_init(struct mail_user *user,
			const struct recall_criteria *criteria,
			struct recall_copies *copies_r)
{
	i_zero(copies_r);
	copies_r->pool = pool_alloconly_create("recall copies", 2048);
	copies_r->user = user;
	copies_r->criteria = criteria;
	copies_r->scan = recall_scan_init(copies_r->pool);
	p_array_init(&copies_r->boxes, copies_r->pool, 4);
	p_array_init(&copies_r->lazy_places, copies_r->pool, 1);
	p_array_init(&copies_r->expunged_boxes, copies_r->pool, 4);
}

void recall_copies_find(struct recall_copies *copies)
{
	unsigned int looks;
	bool taken = copies->taken;

	copies->taken = FALSE;
	for (looks = 0; looks < RECALL_LOOKS_MAX; looks++) {
		copies_look(copies);
		if (copies->count > 0 || copies->error != NULL ||
		    (recall_scan_is_certain(copies->scan) && !taken))
			return;
		/* It may have been moved during this look to where this look
		   had been. Now there is one before that found nothing. */
		taken = FALSE;
	}
	copies->error = copies->gone_box == NULL ? RECALL_COPIES_CHANGED :
		p_strdup(copies->pool,
			 recall_boxes_get_gone_error(copies->gone_box));
}

/* To sync a mailbox that will be changed may be to change it: it's then that
   Dovecot adds up the sizes of new messages. */
static int copies_sync(struct recall_copies_box *cbox, bool expunged)
{
	int ret;

	recall_list_index_begin(cbox->box);
	ret = expunged ? recall_sync_expunged(cbox->box) :
		mailbox_sync(cbox->box, 0);
	recall_list_index_end(cbox->box);
	return ret;
}

/* Whether nothing has happened in the mailbox since it was looked at. To sync
   it would bring nothing then: with dbox the index is the mailbox, unless a
   message could not be read, after which Dovecot has a closer look. */
static bool copies_are_latest(struct recall_copies_box *cbox)
{
	return recall_index_has_flags(cbox->box) && !cbox->others &&
		recall_scan_is_latest(cbox->box);
}

static int
copies_commit(struct recall_copies_box *cbox, struct recall_mail_iter *iter)
{
	int ret;

	recall_list_index_begin(cbox->box);
	ret = recall_mail_iter_commit(iter);
	recall_list_index_end(cbox->box);
	return ret;
}

void recall_copies_refresh(struct recall_copies *copies)
{
	const unsigned int found = copies->count;
	struct recall_copies_box *cbox;
	struct recall_mail_iter iter;
	ARRAY_TYPE(seq_range) uids;
	struct mail *mail;

	copies->count = 0;
	copies->read = FALSE;
	/* of several, each waits for those before */
	copies->synced = array_count(&copies->boxes) == 1;
	array_foreach_modifiable(&copies->boxes, cbox) {
		if (copies_are_latest(cbox)) {
			copies->count += seq_range_count(&cbox->uids);
			copies->read = copies->read || cbox->read;
			continue;
		}
		if (copies_sync(cbox, FALSE) < 0) {
			copies_failed(copies, cbox->box, "Syncing");
			continue;
		}
		cbox->read = FALSE;
		p_array_init(&uids, copies->pool, 2);
		recall_mail_iter_init(&iter, cbox->box, &cbox->uids,
				      MAIL_FETCH_FLAGS, NULL);
		while ((mail = recall_mail_iter_next(&iter)) != NULL) {
			seq_range_array_add(&uids, mail->uid);
			copies->count++;
			if (recall_match_is_read(mail) && !cbox->outgoing)
				copies->read = cbox->read = TRUE;
		}
		recall_mail_iter_rollback(&iter);
		if (seq_range_count(&uids) < seq_range_count(&cbox->uids))
			cbox->others = TRUE;
		cbox->uids = uids;
	}
	if (copies->count < found) {
		copies->taken = TRUE;
		recall_copies_find(copies);
	}
}

/* pass: in which it is to be expunged, 0 if it is not known. */
static struct recall_copies_expunged *
copies_get_expunged(const struct recall_copies *copies, unsigned int pass,
		    const struct recall_copies_box *cbox)
{
	struct recall_copies_expunged *ebox;

	array_foreach_modifiable(&copies->expunged_boxes, ebox) {
		/* Of two at a time one was copied, with the GUID. Later it is
		   the same one, wherever it is. */
		if (guid_128_equals(ebox->guid, cbox->guid) &&
		    (ebox->pass != pass ||
		     !recall_box_dirs_differ(&ebox->dirs, &cbox->dirs)))
			return ebox;
	}
	return NULL;
}

static void copies_add_expunged(struct recall_copies *copies,
				struct recall_copies_box *cbox)
{
	struct recall_copies_expunged *ebox;

	if (array_is_empty(&cbox->expunged))
		return;
	ebox = copies_get_expunged(copies, copies->passes, cbox);
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
		copies_failed(copies, cbox->box, "Expunging from");
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
	if (copies_sync(cbox, TRUE) < 0) {
		cbox->expunge_failed = TRUE;
		copies_failed(copies, cbox->box, "Syncing");
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

static void copies_expunge_box(struct recall_copies *copies,
			       struct recall_copies_box *cbox)
{
	int dir_fd = -1;

	p_array_init(&cbox->expunged, copies->pool, 2);
	p_array_init(&cbox->counted, copies->pool, 2);
	/* what is gone by now was not deleted by us */
	if (!copies->synced && copies_sync(cbox, FALSE) < 0)
		copies_failed(copies, cbox->box, "Syncing");
	else if (copies_expunge_mails(copies, cbox, &dir_fd))
		copies_expunge_sync(copies, cbox, dir_fd);
	i_close_fd(&dir_fd);
}

void recall_copies_expunge(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;
	unsigned int expunged = 0;

	copies->passes++;
	copies->read_before = copies->read_before || copies->read;
	array_foreach_modifiable(&copies->boxes, cbox) T_BEGIN {
		copies_expunge_box(copies, cbox);
		if (!cbox->expunge_failed)
			expunged += seq_range_count(&cbox->expunged);
	} T_END;
	copies->taken = expunged < copies->count;
}

unsigned int recall_copies_total(const struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	const struct recall_copies_expunged *ebox;
	unsigned int total = copies->expunged + copies->count;
	ARRAY_TYPE(seq_range) again;

	array_foreach(&copies->boxes, cbox) T_BEGIN {
		ebox = copies_get_expunged(copies, 0, cbox);
		if (ebox != NULL) {
			t_array_init(&again, 2);
			seq_range_array_merge(&again, &cbox->uids);
			seq_range_array_intersect(&again, &ebox->uids);
			total -= seq_range_count(&again);
		}
	} T_END;
	return total;
}

const char *recall_copies_get_mailboxes(const struct recall_copies *copies)
{
	const struct recall_copies_expunged *ebox;
	const struct recall_copies_box *cbox;
	string_t *str = t_str_new(64);

	array_foreach(&copies->expunged_boxes, ebox)
		recall_names_append(str, ebox->vname);
	if (str_len(str) > 0)
		return str_c(str);
	array_foreach(&copies->boxes, cbox)
		recall_names_append(str, mailbox_get_vname(cbox->box));
	return str_c(str);
}

const char *recall_copies_get_guids(const struct recall_copies *copies)
{
	const struct recall_copies_expunged *ebox;
	const struct recall_copies_box *cbox;
	string_t *str = t_str_new(64);

	array_foreach(&copies->expunged_boxes, ebox)
		recall_names_append(str, guid_128_to_string(ebox->guid));
	if (str_len(str) > 0)
		return str_c(str);
	array_foreach(&copies->boxes, cbox)
		recall_names_append(str, guid_128_to_string(cbox->guid));
	return str_c(str);
}

void recall_copies_free(struct recall_copies *copies)
{
	copies_forget(copies);
	recall_scan_deinit(&copies->scan);
	pool_unref(&copies->pool);
}
