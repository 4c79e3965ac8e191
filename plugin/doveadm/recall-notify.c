#include "lib.h"
#include "mail-user.h"
#include "recall-notice.h"
#include "recall-copies.h"
#include "recall-request.h"
#include "recall-row.h"
#include "recall-notify.h"

#define RECALL_NOTIFY_ON_DEFAULT "expunged read"

static bool
notice_is_due(struct mail_user *user, enum recall_verdict verdict,
	      enum recall_notice_kind *kind_r)
{
	const char *value = mail_user_plugin_getenv(user, "recall_notify_on");

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
	if (value == NULL)
		value = RECALL_NOTIFY_ON_DEFAULT;
	return str_array_find(t_strsplit_spaces(value, ", "),
			      recall_verdict_name(verdict));
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
	    !notice_is_due(user, row->verdict, &notice.kind))
		return;

	notice.message_id = t_strndup(request->message_id.data,
				      request->message_id.len);
	notice.recall_id = request->recall_id;
	notice.subject = copies->subject;
	notice.from = copies->from;
	notice.date = copies->date;
	notice.copies = row->copies;
	if (recall_notice_save(user, &notice, &error) == 0) {
		row->notice = RECALL_NOTICE_SENT;
		return;
	}
	row->notice = RECALL_NOTICE_FAILED;
	if (row->error == NULL)
		row->error = t_strdup_printf("Notice: %s", error);
}
