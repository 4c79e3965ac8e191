#include "lib.h"
#include "array.h"
#include "sleep.h"
#include "str.h"
#include "time-util.h"
#include "mail-storage-private.h"
#include "recall-boxes.h"
#include "failpoint.h"
#include "recall-find.h"
#include "recall-index-stamp.h"
#include "recall-limits.h"
#include "recall-list-index.h"
#include "recall-scan.h"
#include "recall-sdbox-view.h"
#include "recall-sync.h"
#include "recall-mail-iter.h"
#include "recall-match.h"
#include "recall-message-id.h"
#include "recall-names.h"
#include "recall-copies.h"
#include "recall-copies-private.h"

/* Between looks at an mdbox that is rebuilt. Together they take longer than
   what has to pass after a rebuild (recall-rebuilds.h). Each counts for two: it
   may be the look that has it rebuilt, for which Dovecot reads all of it. */
#define COPIES_REBUILT_MSECS 500

/* Where mail is moved all the time it may have come to rest a moment later. Two
   looks in a row see that, so there is no pause between these. */
static const unsigned int copies_moved_msecs[RECALL_LOOKS_MAX] = {
	[6] = 50, [8] = 200, [10] = 600
};

void recall_copies_failed(struct recall_copies *copies, struct mailbox *box,
			  const char *what)
{
	recall_sdbox_view_close(box);
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
		if (recall_box_dirs_have_found(&cbox->dirs, &cbox->uids,
					       &ctx->cbox->dirs, mail))
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
	recall_box_dirs_found(&cbox->dirs, copies->pool, mail);
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
		recall_copies_failed(copies, box, "Searching");
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
		recall_copies_failed(copies, box, "Reading the GUID of");
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
	if (copies->count > 0)
		recall_scan_found(copies->scan);
	copies->most = I_MAX(copies->most, recall_copies_total(copies));
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

/* Whoever lost it, it may be back after the next rebuild. */
static bool copies_are_lost(struct recall_copies *copies)
{
	return copies->most > copies->expunged &&
		recall_scan_was_rebuilt(copies->scan);
}

void recall_copies_find(struct recall_copies *copies)
{
	unsigned int looks, msecs;
	bool taken = copies->taken, rebuilt = FALSE;

	copies->taken = FALSE;
	for (looks = 0; looks < RECALL_LOOKS_MAX; looks += rebuilt ? 2 : 1) {
		msecs = rebuilt ? COPIES_REBUILT_MSECS :
			copies_moved_msecs[looks];
		if (msecs > 0)
			i_sleep_msecs(msecs);
		copies_look(copies);
		if (copies->count > 0 || copies->error != NULL)
			return;
		rebuilt = recall_scan_is_rebuilt(copies->scan);
		if (recall_scan_is_certain(copies->scan) && !rebuilt && !taken)
			break;
		/* It may have been moved during this look to where this look
		   had been. Now there is one before that found nothing. */
		taken = FALSE;
	}
	if (rebuilt || copies_are_lost(copies))
		copies->error = RECALL_COPIES_REBUILT;
	else if (looks < RECALL_LOOKS_MAX)
		return;
	else if (copies->gone_box == NULL)
		copies->error = RECALL_COPIES_CHANGED;
	else {
		copies->error = p_strdup(copies->pool,
			recall_boxes_get_gone_error(copies->gone_box));
	}
}

int recall_copies_sync(struct recall_copies_box *cbox, bool expunged)
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
		if (recall_copies_sync(cbox, FALSE) < 0) {
			recall_copies_failed(copies, cbox->box, "Syncing");
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

struct recall_copies_expunged *
recall_copies_get_expunged(const struct recall_copies *copies,
			   unsigned int pass,
			   const struct recall_copies_box *cbox)
{
	struct recall_copies_expunged *ebox, *elsewhere = NULL;

	array_foreach_modifiable(&copies->expunged_boxes, ebox) {
		if (!guid_128_equals(ebox->guid, cbox->guid))
			continue;
		if (!recall_box_dirs_differ(&ebox->dirs, &cbox->dirs))
			return ebox;
		/* Of two at a time one was copied, with the GUID. Later it is
		   the same one, wherever it is. */
		if (elsewhere == NULL && ebox->pass != pass)
			elsewhere = ebox;
	}
	return elsewhere;
}

unsigned int recall_copies_total(const struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	const struct recall_copies_expunged *ebox;
	unsigned int total = copies->expunged + copies->count;
	ARRAY_TYPE(seq_range) again;

	array_foreach(&copies->boxes, cbox) T_BEGIN {
		ebox = recall_copies_get_expunged(copies, 0, cbox);
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
