#include "lib.h"
#include "failpoint.h"
#include "file-lock.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "recall-copies.h"
#include "recall-find.h"
#include "recall-lock.h"
#include "recall-message-id.h"
#include "recall-notice.h"
#include "recall-order.h"
#include "recall-settings.h"
#include "recall-notify.h"

#define NOTICE_LOCK_FNAME "dovecot-recall-notice.lock"
/* it is held while one message is saved */
#define NOTICE_LOCK_SECS 60

static bool
notice_is_due(struct mail_user *user, enum recall_verdict verdict,
	      const struct recall_copies *copies,
	      enum recall_notice_kind *kind_r)
{
	const char *value = recall_settings(user)->recall_notify_on;

	/* the first try may have been stopped before it sent one */
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

static bool notice_is_found(struct mail *mail ATTR_UNUSED, void *context)
{
	bool *found = context;

	*found = TRUE;
	return FALSE;
}

/* If the INBOX can't be searched then saving into it reports why. */
static bool notice_was_sent(struct mail_user *user,
			    const struct recall_notice *notice)
{
	static const struct recall_find_wanted wanted;
	const char *text = recall_notice_get_message_id(user, notice);
	struct mail_namespace *ns =
		mail_namespace_find_inbox(user->namespaces);
	struct recall_message_id id;
	const struct recall_criteria criteria = { .message_id = &id };
	struct mailbox *box;
	unsigned int other_senders = 0;
	bool found = FALSE;

	if (recall_message_id_parse(text, strlen(text), &id) !=
	    RECALL_MESSAGE_ID_OK)
		return FALSE;
	box = mailbox_alloc(ns->list, "INBOX", MAILBOX_FLAG_IGNORE_ACLS);
	(void)recall_find_in_box(box, &criteria, &wanted, notice_is_found,
				 &found, &other_senders);
	mailbox_free(&box);
	return found;
}

/* Two tries may look for the notice at the same time. A notice too many is
   better than none: whoever can't lock goes on. */
static void notice_lock(struct mail_user *user, struct file_lock **lock_r)
{
	struct mail_namespace *ns =
		mail_namespace_find_inbox(user->namespaces);
	const char *path, *error;

	if (recall_lock_get_path(ns, NOTICE_LOCK_FNAME, &path, &error) < 0 ||
	    recall_lock_create(ns, path, NOTICE_LOCK_SECS, lock_r,
			       &error) < 0) {
		e_warning(user->event, "recall: "
			"Locking the notice of a recall failed: %s", error);
	}
}

/* A retry of a recall must not notify the user again. */
static int notice_send_once(struct mail_user *user,
			    const struct recall_order *order,
			    const struct recall_notice *notice,
			    enum recall_notice_status *status_r,
			    const char **error_r)
{
	struct file_lock *lock = NULL;
	bool was_sent = FALSE;
	int ret = 0;

	if (order->may_be_retry) {
		notice_lock(user, &lock);
		was_sent = notice_was_sent(user, notice);
	}
	if (was_sent) {
		*status_r = RECALL_NOTICE_ALREADY_SENT;
	} else {
		RECALL_FAILPOINT("notice-due");
		ret = recall_notice_send(user, notice, error_r);
		*status_r = ret == 0 ? RECALL_NOTICE_SENT :
			RECALL_NOTICE_FAILED;
	}
	if (lock != NULL)
		file_lock_free(&lock);
	return ret;
}

void recall_notify(struct mail_user *user, const struct recall_order *order,
		   const struct recall_copies *copies,
		   struct recall_outcome *outcome)
{
	struct recall_notice notice;
	const char *error;

	i_zero(&notice);
	if (!order->notify ||
	    !notice_is_due(user, outcome->verdict, copies, &notice.kind))
		return;

	/* a query may have found several messages: the notice tells of the
	   first and how many they are */
	notice.message_id = order->message_id;
	if (notice.message_id == NULL) {
		notice.message_id = copies->message_id == NULL ? "" :
			copies->message_id;
	}
	notice.recall_id = order->recall_id;
	notice.subject = copies->subject;
	notice.from = copies->from;
	notice.date = copies->date;
	notice.copies = outcome->verdict == RECALL_VERDICT_ALREADY_RECALLED ?
		copies->recorded_count : outcome->copies;
	if (notice_send_once(user, order, &notice, &outcome->notice,
			     &error) < 0 && outcome->error == NULL)
		outcome->error = t_strdup_printf("Notice: %s", error);
}
