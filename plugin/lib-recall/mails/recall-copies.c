#include "lib.h"
#include "array.h"
#include "str.h"
#include "mail-storage.h"
#include "recall-boxes.h"
#include "failpoint.h"
#include "recall-find.h"
#include "recall-match.h"
#include "recall-message-id.h"
#include "recall-names.h"
#include "recall-copies.h"

static void copies_failed(struct recall_copies *copies, struct mailbox *box,
			  const char *what)
{
	if (copies->error != NULL)
		return;
	copies->error = p_strdup_printf(copies->pool, "%s mailbox %s failed: %s",
		what, mailbox_get_vname(box),
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
};

static bool copies_find_mail(struct mail *mail, void *context)
{
	struct copies_find_context *ctx = context;
	struct recall_copies *copies = ctx->copies;

	if (copies->count++ == 0)
		copies_get_headers(copies, mail);
	seq_range_array_add(&ctx->cbox->uids, mail->uid);
	if (!box_is_outgoing(mail->box) && recall_match_is_read(mail))
		copies->read = TRUE;
	return TRUE;
}

static void
copies_find_in_box(struct recall_copies *copies,
		   const struct recall_criteria *criteria,
		   struct mailbox *box)
{
	static const struct recall_find_wanted wanted = {
		.fields = MAIL_FETCH_FLAGS,
	};
	struct recall_copies_box cbox = { .box = box };
	struct copies_find_context ctx = {
		.copies = copies,
		.cbox = &cbox,
	};
	struct mailbox_metadata metadata;

	p_array_init(&cbox.uids, copies->pool, 2);
	if (recall_find_in_box(box, criteria, &wanted, copies_find_mail, &ctx,
			       &copies->other_sender_count) < 0) {
		copies_failed(copies, box, "Searching");
	} else if (array_count(&cbox.uids) > 0 &&
		   mailbox_get_metadata(box, MAILBOX_METADATA_GUID,
					&metadata) < 0) {
		copies_failed(copies, box, "Reading the GUID of");
	} else if (array_count(&cbox.uids) > 0) {
		guid_128_copy(cbox.guid, metadata.guid);
		array_push_back(&copies->boxes, &cbox);
		return;
	}
	mailbox_free(&cbox.box);
}

void recall_copies_find(struct mail_user *user,
			const struct recall_criteria *criteria,
			struct recall_copies *copies_r)
{
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *error;

	i_zero(copies_r);
	copies_r->pool = pool_alloconly_create("recall copies", 2048);
	p_array_init(&copies_r->boxes, copies_r->pool, 4);

	iter = recall_boxes_iter_init_for(user, criteria);
	while ((box = recall_boxes_iter_next(iter)) != NULL) T_BEGIN {
		copies_find_in_box(copies_r, criteria, box);
	} T_END;
	if (recall_boxes_iter_deinit(&iter, &error) < 0 &&
	    copies_r->error == NULL)
		copies_r->error = p_strdup(copies_r->pool, error);
}

/* Calls the function for each copy that is still there. */
static void
copies_foreach_mail(struct recall_copies_box *cbox, struct mail *mail,
		    void (*func)(struct mail *mail, void *context),
		    void *context)
{
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid;

	seq_range_array_iter_init(&iter, &cbox->uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (mail_set_uid(mail, uid))
			func(mail, context);
	}
}

struct copies_refresh_context {
	ARRAY_TYPE(seq_range) uids;
	unsigned int count;
	bool read;
};

static void copies_refresh_mail(struct mail *mail, void *context)
{
	struct copies_refresh_context *ctx = context;

	seq_range_array_add(&ctx->uids, mail->uid);
	ctx->count++;
	if (recall_match_is_read(mail))
		ctx->read = TRUE;
}

void recall_copies_refresh(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;
	struct mailbox_transaction_context *trans;
	struct copies_refresh_context ctx;
	struct mail *mail;
	unsigned int i = 0;

	copies->count = 0;
	copies->read = FALSE;
	while (i < array_count(&copies->boxes)) {
		cbox = array_idx_modifiable(&copies->boxes, i);
		if (mailbox_sync(cbox->box, 0) < 0) {
			copies_failed(copies, cbox->box, "Syncing");
			i++;
			continue;
		}
		i_zero(&ctx);
		p_array_init(&ctx.uids, copies->pool, 2);
		trans = mailbox_transaction_begin(cbox->box, 0, __func__);
		mail = mail_alloc(trans, MAIL_FETCH_FLAGS, NULL);
		copies_foreach_mail(cbox, mail, copies_refresh_mail, &ctx);
		mail_free(&mail);
		mailbox_transaction_rollback(&trans);

		cbox->uids = ctx.uids;
		copies->count += ctx.count;
		if (ctx.read && !box_is_outgoing(cbox->box))
			copies->read = TRUE;
		if (ctx.count > 0) {
			i++;
		} else {
			mailbox_free(&cbox->box);
			array_delete(&copies->boxes, i, 1);
		}
	}
}

static void copies_expunge_mail(struct mail *mail, void *context)
{
	unsigned int *count = context;

	mail_expunge(mail);
	(*count)++;
}

int recall_copies_expunge(struct recall_copies *copies,
			  unsigned int *expunged_r)
{
	struct recall_copies_box *cbox;
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	unsigned int count;
	int ret = 0;

	*expunged_r = 0;
	array_foreach_modifiable(&copies->boxes, cbox) {
		count = 0;
		trans = mailbox_transaction_begin(cbox->box, 0, __func__);
		mail = mail_alloc(trans, 0, NULL);
		copies_foreach_mail(cbox, mail, copies_expunge_mail, &count);
		mail_free(&mail);
		if (mailbox_transaction_commit(&trans) < 0) {
			copies_failed(copies, cbox->box, "Expunging from");
			ret = -1;
		} else if (mailbox_sync(cbox->box, 0) < 0) {
			copies_failed(copies, cbox->box, "Syncing");
			ret = -1;
		} else {
			cbox->expunged = TRUE;
			*expunged_r += count;
			RECALL_FAILPOINT("expunged");
		}
	}
	return ret;
}

const char *recall_copies_get_mailboxes(const struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	string_t *str = t_str_new(64);

	array_foreach(&copies->boxes, cbox)
		recall_names_append(str, mailbox_get_vname(cbox->box));
	return str_c(str);
}

const char *recall_copies_get_guids(const struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	string_t *str = t_str_new(64);

	array_foreach(&copies->boxes, cbox)
		recall_names_append(str, guid_128_to_string(cbox->guid));
	return str_c(str);
}

void recall_copies_free(struct recall_copies *copies)
{
	struct recall_copies_box *cbox;

	array_foreach_modifiable(&copies->boxes, cbox)
		mailbox_free(&cbox->box);
	pool_unref(&copies->pool);
}
