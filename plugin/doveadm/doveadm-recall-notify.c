#include "lib.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "recall-settings.h"
#include "recall-index.h"
#include "recall-match.h"
#include "recall-notice.h"
#include "recall-copies.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-notify.h"

static bool
notice_is_due(struct mail_user *user, enum recall_verdict verdict,
	      const struct recall_copies *copies,
	      enum recall_notice_kind *kind_r)
{
	const char *value = recall_settings(user)->recall_notify_on;

	/* the first try may have been stopped before it could tell */
	if (verdict == RECALL_VERDICT_ALREADY_RECALLED &&
	    copies->recorded_count > 0)
		verdict = RECALL_VERDICT_EXPUNGED;
	switch (verdict) {
	case RECALL_VERDICT_EXPUNGED:
		*kind_r = RECALL_NOTICE_KIND_EXPUNGED;
		break;
	case RECALL_VERDICT_READ:
		*kind_r = RECALL_NOTICE_KIND_READ;
		break;
	default:
		return FALSE;
	}
	return str_array_find(t_strsplit_spaces(value, ", "),
			      recall_verdict_name(verdict));
}

static bool box_has_message_id(struct mailbox *box,
			       const struct recall_message_id *id)
{
	struct mailbox_transaction_context *trans;
	struct seq_range_iter iter;
	ARRAY_TYPE(seq_range) uids;
	struct mail *mail;
	unsigned int n = 0;
	uint32_t uid;
	bool found = FALSE;

	t_array_init(&uids, 2);
	if (recall_index_find(box, id, FALSE, &uids) < 0 ||
	    array_count(&uids) == 0)
		return FALSE;
	trans = mailbox_transaction_begin(box, 0, __func__);
	mail = mail_alloc(trans, 0, NULL);
	seq_range_array_iter_init(&iter, &uids);
	while (!found && seq_range_array_iter_nth(&iter, n++, &uid)) {
		found = mail_set_uid(mail, uid) &&
			recall_match_message_id(mail, id) > 0;
	}
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	return found;
}

/* A retry of a recall must not tell the user again. If the INBOX can't be
   searched then saving into it will tell why. */
static bool notice_was_sent(struct mail_user *user,
			    const struct recall_notice *notice)
{
	const char *text = recall_notice_get_message_id(user, notice);
	struct mail_namespace *ns =
		mail_namespace_find_inbox(user->namespaces);
	struct mailbox *box = mailbox_alloc(ns->list, "INBOX",
					    MAILBOX_FLAG_IGNORE_ACLS);
	struct recall_message_id id;
	bool found;

	found = recall_message_id_parse(text, strlen(text), &id) ==
		RECALL_MESSAGE_ID_OK && box_has_message_id(box, &id);

	mailbox_free(&box);
	return found;
}

void recall_notify_user(struct mail_user *user,
			const struct recall_request *request,
			const struct recall_copies *copies,
			struct recall_row *row)
{
	struct recall_notice notice;
	const char *error;

	i_zero(&notice);
	if (!request->notify || request->dry_run ||
	    !notice_is_due(user, row->verdict, copies, &notice.kind))
		return;

	/* a query may have found several messages: the notice tells of the
	   first and how many they are */
	if (request->search_args == NULL) {
		notice.message_id = t_strndup(request->message_id.data,
					      request->message_id.len);
	} else {
		notice.message_id = copies->message_id == NULL ? "" :
			copies->message_id;
	}
	notice.recall_id = request->recall_id;
	notice.subject = copies->subject;
	notice.from = copies->from;
	notice.date = copies->date;
	notice.copies = row->verdict == RECALL_VERDICT_ALREADY_RECALLED ?
		copies->recorded_count : row->copies;
	if (request->may_be_retry && notice_was_sent(user, &notice)) {
		row->notice = RECALL_NOTICE_ALREADY_SENT;
		return;
	}
	if (recall_notice_send(user, &notice, &error) == 0) {
		row->notice = RECALL_NOTICE_SENT;
		return;
	}
	row->notice = RECALL_NOTICE_FAILED;
	if (row->error == NULL)
		row->error = t_strdup_printf("Notice: %s", error);
}
