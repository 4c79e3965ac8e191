#include "lib.h"
#include "array.h"
#include "sleep.h"
#include "str.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "failpoint.h"
#include "recall-boxes.h"
#include "recall-given.h"
#include "recall-names.h"
#include "recall-quarantine.h"
#include "recall-mails.h"
#include "recall-quarantine-read.h"
#include "recall-quarantine-record.h"
#include "recall-quarantine-settings.h"
#include "recall-sdbox-left.h"

#include <time.h>

/* Looks for a mailbox. One that is renamed meanwhile may be there under neither
   name. */
#define RESTORE_LOOKS 3
#define RESTORE_LOOK_MSECS 20

struct restore_context {
	struct recall_quarantine *q;
	struct recall_quarantine_record record;
	struct recall_quarantine_restored *restored;
	/* names and GUIDs of the mailboxes that got something */
	string_t *mailboxes, *guids;
	/* put back into the mailbox that is gone to, by both tries */
	unsigned int box_copies;
	/* an earlier try has given some of it */
	bool resumed;
	/* the mailbox may have more than its index knows of: it stays */
	bool lacking;
	/* what it has given of that, and no earlier try has recorded */
	ARRAY_TYPE(seq_range) box_uids;
	uint32_t box_uid_validity;
};

/* box_r is NULL if there is none. Returns -1 if there is one that can't be
   opened now: the copies wait for it. What is saved into a virtual one goes
   somewhere else, and nobody says where: it is none. */
static int restore_try_open(struct mailbox *box, struct mailbox **box_r,
			    const char **error_r)
{
	const char *text;
	enum mail_error error;

	*box_r = NULL;
	if (box->virtual_vfuncs != NULL) {
		mailbox_free(&box);
		return 0;
	}
	if (mailbox_open(box) == 0) {
		*box_r = box;
		return 0;
	}
	text = mailbox_get_last_internal_error(box, &error);
	*error_r = t_strdup_printf("Opening mailbox %s failed: %s",
				   mailbox_get_vname(box), text);
	mailbox_free(&box);
	return error == MAIL_ERROR_NOTFOUND || error == MAIL_ERROR_PARAMS ||
		error == MAIL_ERROR_NOTPOSSIBLE ? 0 : -1;
}

static int
restore_open(struct mail_namespace *ns, const char *vname,
	     struct mailbox **box_r, const char **error_r)
{
	return restore_try_open(mailbox_alloc(ns->list, vname,
					      MAILBOX_FLAG_IGNORE_ACLS),
				box_r, error_r);
}

static bool box_has_guid(struct mailbox *box, const guid_128_t guid)
{
	struct mailbox_metadata metadata;

	return mailbox_get_metadata(box, MAILBOX_METADATA_GUID,
				    &metadata) == 0 &&
		guid_128_equals(metadata.guid, guid);
}

/* Returns -1 if it can't be opened, so that it may be the one. */
static int
restore_open_if_guid(struct mailbox *box, const guid_128_t guid,
		     struct mailbox **box_r, const char **error_r)
{
	struct mailbox_metadata metadata;

	/* the mailbox list index may know it */
	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) == 0 &&
	    !guid_128_equals(metadata.guid, guid)) {
		mailbox_free(&box);
		return 0;
	}
	if (restore_try_open(box, box_r, error_r) < 0)
		return -1;
	if (*box_r != NULL && !box_has_guid(*box_r, guid))
		mailbox_free(box_r);
	return 0;
}

/* It has been renamed, or is gone: box_r is NULL then. Not with
   mailbox_alloc_guid(), which looks once, and with the user's rights. */
static int
restore_open_guid(struct mail_user *user, const guid_128_t guid,
		  struct mailbox **box_r, const char **error_r)
{
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *error;
	unsigned int looks;
	int ret = 0;

	*box_r = NULL;
	for (looks = 0; looks < RESTORE_LOOKS && *box_r == NULL; looks++) {
		if (looks > 0)
			i_sleep_msecs(RESTORE_LOOK_MSECS);
		ret = 0;
		iter = recall_boxes_iter_init(user);
		while (*box_r == NULL &&
		       (box = recall_boxes_iter_next(iter)) != NULL) {
			if (restore_open_if_guid(box, guid, box_r,
						 error_r) < 0)
				ret = -1;
		}
		if (recall_boxes_iter_deinit(&iter, &error) < 0) {
			*error_r = error;
			ret = -1;
		}
	}
	return *box_r != NULL ? 0 : ret;
}

/* The INBOX of the first namespace that has one that is not virtual. */
static int
restore_open_real_inbox(struct mail_user *user, struct mailbox **box_r,
			const char **error_r)
{
	struct mail_namespace *ns;

	*box_r = NULL;
	for (ns = user->namespaces; ns != NULL && *box_r == NULL;
	     ns = ns->next) {
		if (recall_boxes_are_in(ns) &&
		    restore_open(ns, mailbox_list_get_vname(ns->list, "INBOX"),
				 box_r, error_r) < 0)
			return -1;
	}
	if (*box_r != NULL)
		return 0;
	*error_r = "There is no INBOX that is not virtual";
	return -1;
}

/* For what has no mailbox any more. */
static int restore_open_inbox(struct mail_user *user, struct mailbox **box_r,
			      const char **error_r)
{
	struct mail_namespace *ns = mail_namespace_find_inbox(user->namespaces);
	struct mailbox *box;

	box = mailbox_alloc(ns->list, "INBOX", MAILBOX_FLAG_IGNORE_ACLS);
	if (box->virtual_vfuncs != NULL) {
		mailbox_free(&box);
		return restore_open_real_inbox(user, box_r, error_r);
	}
	if (mailbox_open(box) < 0) {
		*error_r = t_strdup_printf("Opening INBOX failed: %s",
			mailbox_get_last_internal_error(box, NULL));
		mailbox_free(&box);
		return -1;
	}
	*box_r = box;
	return 0;
}

/* Opens the mailbox that the copies go back to. */
static int
restore_open_target(struct restore_context *ctx, const guid_128_t guid,
		    struct mailbox **box_r, const char **error_r)
{
	struct mail_user *user = ctx->q->user;
	const struct recall_quarantine_record_box *rbox;
	struct mail_namespace *ns;
	struct mailbox *named = NULL, *box;

	rbox = recall_quarantine_record_find(&ctx->record, guid);
	if (rbox != NULL) {
		ns = mail_namespace_find(user->namespaces, rbox->vname);
		if (ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		    !recall_quarantine_is_namespace(ns) &&
		    restore_open(ns, rbox->vname, &named, error_r) < 0)
			return -1;
	}
	if (named != NULL && box_has_guid(named, guid)) {
		*box_r = named;
		return 0;
	}
	if (restore_open_guid(user, guid, &box, error_r) < 0 || box != NULL) {
		if (named != NULL)
			mailbox_free(&named);
		*box_r = box;
		return box != NULL ? 0 : -1;
	}
	if (ctx->box_copies > 0) {
		/* the first try has given them to that, and it may be there
		   under another name in a moment */
		if (named != NULL)
			mailbox_free(&named);
		*error_r = "The mailbox was renamed or deleted while messages "
			"were put back into it";
		return -1;
	}
	if (named != NULL) {
		*box_r = named;
		return 0;
	}
	return restore_open_inbox(user, box_r, error_r);
}

static void
restore_add_target(struct restore_context *ctx, struct mailbox *box)
{
	struct mailbox_metadata metadata;
	const char *guid;

	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		i_zero(&metadata.guid);
	guid = guid_128_to_string(metadata.guid);
	/* the INBOX may stand in for several mailboxes */
	if (strstr(str_c(ctx->guids), guid) != NULL)
		return;
	recall_names_append(ctx->mailboxes, mailbox_get_vname(box));
	recall_names_append(ctx->guids, guid);
}

/* What a try has given to the mailbox, if it is not lost. */
static int
restore_read_given_box(struct recall_given *given, struct mailbox *box,
		       const char **error_r)
{
	ARRAY_TYPE(recall_given_copy) left;
	const struct recall_given_copy *copy;
	ARRAY_TYPE(recall_mails_guid) mails;
	const struct recall_mails_guid *mail;
	ARRAY_TYPE(seq_range) uids;

	t_array_init(&left, 4);
	t_array_init(&mails, 4);
	t_array_init(&uids, 4);
	if (recall_given_read(given, box, &left, error_r) < 0)
		return -1;
	if (array_is_empty(&left))
		return 0;
	array_foreach(&left, copy)
		seq_range_array_add(&uids, copy->dest_uid);
	if (recall_mails_get_guids(box, &uids, &mails, error_r) < 0)
		return -1;
	array_clear(&uids);
	array_foreach(&mails, mail)
		seq_range_array_add(&uids, mail->uid);
	array_foreach(&left, copy) {
		if (seq_range_exists(&uids, copy->dest_uid))
			seq_range_array_add(&given->uids, copy->uid);
	}
	return 0;
}

/* What a try has given back that was killed, or has failed after that. It may
   have found the INBOX alone. */
static int
restore_read_given(struct restore_context *ctx, struct recall_given *given,
		   struct mailbox *dest, const char **error_r)
{
	struct mail_namespace *ns =
		mail_namespace_find_inbox(ctx->q->user->namespaces);
	struct mailbox *box;
	const char *error;

	if (restore_read_given_box(given, dest, error_r) < 0)
		return -1;
	box = mailbox_alloc(ns->list, "INBOX", MAILBOX_FLAG_IGNORE_ACLS);
	if (!mailbox_equals(dest, ns, "INBOX") && mailbox_open(box) == 0)
		(void)restore_read_given_box(given, box, &error);
	mailbox_free(&box);
	if (!array_is_empty(&given->uids))
		ctx->resumed = TRUE;
	return 0;
}

/* Those that are there, or have been given: what an earlier try has given back
   it may have had expunged, and not have come to delete the mailbox. */
static unsigned int
restore_count_known(const ARRAY_TYPE(seq_range) *uids,
		    const struct recall_given *given)
{
	ARRAY_TYPE(seq_range) known;

	t_array_init(&known, 4);
	seq_range_array_merge(&known, uids);
	seq_range_array_merge(&known, &given->uids);
	return seq_range_count(&known);
}

/* Puts copies back whose transaction is committed when this returns. */
static int
restore_copy(struct restore_context *ctx, const guid_128_t guid,
	     struct mailbox *src, struct mailbox *dest, const char **error_r)
{
	const struct recall_quarantine_record_box *rbox =
		recall_quarantine_record_find(&ctx->record, guid);
	const struct recall_given_generation generation = {
		.uid_validity = ctx->record.uid_validity,
		.next_uid = ctx->record.next_uid,
	};
	struct recall_given given;
	ARRAY_TYPE(seq_range) uids, noted;
	ARRAY_TYPE(recall_mails_guid) guids;
	ARRAY_TYPE(recall_mails_copied) copied;
	unsigned int count, known;
	int ret;

	t_array_init(&uids, 4);
	t_array_init(&noted, 4);
	t_array_init(&guids, 4);
	t_array_init(&copied, 4);
	if (recall_mails_get_count(src, rbox == NULL ? 0 : rbox->sure, &uids,
				   error_r) < 0 ||
	    recall_given_init(&given, src, &generation, error_r) < 0)
		return -1;
	recall_quarantine_record_get_given(&ctx->record, guid,
					   given.uid_validity, &noted);
	seq_range_array_merge(&given.uids, &noted);
	if (restore_read_given(ctx, &given, dest, error_r) < 0 ||
	    recall_mails_get_related(src, &uids, dest, &guids, error_r) < 0)
		return -1;
	recall_sdbox_left_delete(dest, src, &uids);
	known = restore_count_known(&uids, &given);
	ret = recall_mails_copy(src, &uids, dest, &given, &guids, &copied,
				error_r);
	/* they are there, even if it could not look */
	ctx->box_copies += array_count(&copied);
	ctx->restored->copies += array_count(&copied);
	if (ret < 0)
		return -1;
	/* for those who watch the mailbox; the copies are there in any case */
	(void)mailbox_sync(dest, 0);
	t_array_init(&ctx->box_uids, 4);
	seq_range_array_merge(&ctx->box_uids, &uids);
	seq_range_array_remove_seq_range(&ctx->box_uids, &noted);
	ctx->box_uid_validity = given.uid_validity;
	count = seq_range_count(&uids);
	if (count > ctx->box_copies)
		ctx->restored->present += count - ctx->box_copies;
	if (count > 0)
		restore_add_target(ctx, dest);
	ret = recall_quarantine_check_count(&ctx->record, rbox, src, known,
					    dest, error_r);
	if (ret == 0)
		ctx->lacking = TRUE;
	return ret > 0 ? 0 : -1;
}

/* Returns 0 if there are none, -1 on errors. */
static int
restore_box_copies(struct restore_context *ctx,
		   const struct recall_quarantine_box *qbox,
		   const char **error_r)
{
	struct mailbox *src, *dest;
	int ret;

	ret = recall_quarantine_box_open(ctx->q, qbox->recall_id, qbox->guid,
					 FALSE, &src, error_r);
	if (ret <= 0)
		return ret;
	ret = restore_open_target(ctx, qbox->guid, &dest, error_r);
	if (ret == 0) {
		ret = restore_copy(ctx, qbox->guid, src, dest, error_r);
		mailbox_free(&dest);
	}
	mailbox_free(&src);
	return ret < 0 ? -1 : 1;
}

static int
restore_box(struct restore_context *ctx,
	    const struct recall_quarantine_box *qbox, const char **error_r)
{
	int ret;

	ctx->box_copies = 0;
	ctx->lacking = FALSE;
	ret = restore_box_copies(ctx, qbox, error_r);
	/* only when it copies does sdbox come over a file that a killed process
	   has left, and mends that when the mailbox is opened again; or it was
	   renamed just now */
	if (ret < 0 && !ctx->lacking)
		ret = restore_box_copies(ctx, qbox, error_r);
	if (ret <= 0)
		return ret;
	RECALL_FAILPOINT("restore-copied");
	/* the user may do with what is put back as with any mail */
	if (recall_quarantine_is_held(ctx->q->user))
		return 0;
	/* if it can't be recorded there is the log of where it was given to */
	if (!array_is_empty(&ctx->box_uids)) {
		(void)recall_quarantine_record_write_given(ctx->q,
			&ctx->record, qbox->guid, ctx->box_uid_validity,
			&ctx->box_uids, error_r);
		RECALL_FAILPOINT("restore-noted");
	}
	if (recall_quarantine_box_delete(ctx->q, qbox, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("restore-deleted");
	return 0;
}

static int
restore_record(struct restore_context *ctx, const char **error_r)
{
	struct recall_quarantine_record record;

	/* the next one that gives what is held is no other try of this one: the
	   user may have deleted what this one has given */
	if (ctx->record.restored != 0 && ctx->restored->copies == 0 &&
	    !ctx->resumed)
		return 0;
	i_zero(&record);
	record.recall_id = ctx->record.recall_id;
	record.restored = time(NULL);
	t_array_init(&record.boxes, 1);
	return recall_quarantine_record_write(ctx->q, &record, error_r);
}

static int
preview_box(struct restore_context *ctx,
	    const struct recall_quarantine_box *qbox, const char **error_r)
{
	const struct recall_quarantine_record_box *rbox =
		recall_quarantine_record_find(&ctx->record, qbox->guid);
	ARRAY_TYPE(seq_range) uids;
	struct mailbox *box;
	int ret;

	ret = recall_quarantine_box_read(ctx->q, qbox, &box, &uids, error_r);
	if (ret < 0)
		return -1;
	if (ret > 0) {
		ctx->restored->copies += seq_range_count(&uids);
		ret = recall_mails_try_key(box, &uids, error_r);
		mailbox_free(&box);
		if (ret < 0)
			return -1;
	}
	recall_names_append(ctx->mailboxes, rbox == NULL ? "" : rbox->vname);
	recall_names_append(ctx->guids, guid_128_to_string(qbox->guid));
	return 0;
}

typedef int restore_box_t(struct restore_context *ctx,
			  const struct recall_quarantine_box *qbox,
			  const char **error_r);

/* Goes on if there is something wrong with one mailbox, and returns -1 in the
   end. */
static int
restore_boxes(struct restore_context *ctx, pool_t pool, const char *recall_id,
	      restore_box_t *box_func, const char **error_r)
{
	struct recall_quarantine_restored *restored = ctx->restored;
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	const char *error;
	int ret, box_ret;

	i_zero(restored);
	ctx->mailboxes = str_new(pool, 64);
	ctx->guids = str_new(pool, 64);
	ret = recall_quarantine_record_read(ctx->q, pool, recall_id,
					    &ctx->record, error_r);
	if (ret < 0 ||
	    recall_quarantine_list(ctx->q, pool, recall_id, &boxes,
				   error_r) < 0)
		return -1;
	restored->found = ret > 0;
	recall_quarantine_add_unlisted(ctx->q, pool, &ctx->record, &boxes);
	ret = 0;
	array_foreach(&boxes, qbox) {
		if (guid_128_is_empty(qbox->guid) || qbox->nonexistent)
			continue;
		restored->found = TRUE;
		T_BEGIN {
			box_ret = box_func(ctx, qbox, &error);
			if (box_ret < 0 && ret == 0)
				*error_r = p_strdup(pool, error);
		} T_END;
		if (box_ret < 0)
			ret = -1;
	}
	restored->mailboxes = str_c(ctx->mailboxes);
	restored->guids = str_c(ctx->guids);
	return ret;
}

int recall_quarantine_restore(struct recall_quarantine *q, pool_t pool,
			      const char *recall_id,
			      struct recall_quarantine_restored *restored_r,
			      const char **error_r)
{
	struct restore_context ctx = { .q = q, .restored = restored_r };

	i_assert(q->lock != NULL);

	if (restore_boxes(&ctx, pool, recall_id, restore_box, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("restore-finished");
	return restored_r->found ? restore_record(&ctx, error_r) : 0;
}

int recall_quarantine_preview(struct recall_quarantine *q, pool_t pool,
			      const char *recall_id,
			      struct recall_quarantine_restored *restored_r,
			      const char **error_r)
{
	struct restore_context ctx = { .q = q, .restored = restored_r };

	return restore_boxes(&ctx, pool, recall_id, preview_box, error_r);
}
