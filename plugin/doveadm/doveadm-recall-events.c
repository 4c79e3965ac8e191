#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-storage.h"
#include "doveadm-util.h"
#include "recall-copies.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-row.h"
#include "doveadm-recall-events.h"

/* At the shell the rows are on the terminal already; whoever exports events gets
   them either way. */
static enum log_type event_log_level(void)
{
	return doveadm_server || doveadm_verbose ?
		LOG_TYPE_INFO : LOG_TYPE_DEBUG;
}

static struct event_passthrough *
event_begin(struct mail_user *user, const struct recall_request *request,
	    const char *name)
{
	struct event_passthrough *e = event_create_passthrough(user->event);

	e->set_name(name);
	e->add_str("recall_id", request->recall_id);
	e->add_str("actor", request->actor);
	e->add_str("reason", request->reason);
	if (request->tenant != NULL)
		e->add_str("tenant", request->tenant);
	return e;
}

static const char *request_get_message_id(const struct recall_request *request)
{
	return request->message_id.len == 0 ? "" :
		t_strndup(request->message_id.data, request->message_id.len);
}

static void
event_expunged(struct mail_user *user, const struct recall_request *request,
	       const struct recall_copies_expunged *ebox)
{
	const char *message_id = request_get_message_id(request);
	struct event_passthrough *e;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid;

	seq_range_array_iter_init(&iter, &ebox->uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		e = event_begin(user, request, "recall_message_expunged");
		e->add_str("message_id", message_id);
		e->add_str("mailbox", ebox->vname);
		e->add_str("mailbox_guid", guid_128_to_string(ebox->guid));
		e->add_int("uid", uid);
		e_debug(e->event(), "recall %s: expunged <%s> from %s, uid=%u",
			request->recall_id, message_id, ebox->vname, uid);
	}
}

void recall_event_finished(struct mail_user *user,
			   const struct recall_request *request,
			   const struct recall_copies *copies,
			   const struct recall_row *row)
{
	const char *verdict = recall_verdict_name(row->verdict);
	const char *message_id = request_get_message_id(request);
	const struct recall_copies_expunged *ebox;
	struct event_passthrough *e;

	array_foreach(&copies->expunged_boxes, ebox) T_BEGIN {
		event_expunged(user, request, ebox);
	} T_END;
	e = event_begin(user, request, "recall_finished");
	e->add_str("message_id", message_id);
	e->add_str("verdict", verdict);
	e->add_int("copies", row->copies);
	e->add_str("read", copies->read ? "yes" : "no");
	e->add_str("forced", request->force ? "yes" : "no");
	e->add_str("notice", recall_notice_status_name(row->notice));
	if (row->error != NULL)
		e->add_str("error", row->error);
	e_log(e->event(), event_log_level(),
	      "recall %s: <%s> %s, copies=%u, forced=%s, notice=%s, actor=%s, "
	      "reason=%s%s%s", request->recall_id, message_id, verdict,
	      row->copies, request->force ? "yes" : "no",
	      recall_notice_status_name(row->notice), request->actor,
	      request->reason, row->error == NULL ? "" : ", error=",
	      row->error == NULL ? "" : row->error);
}

void recall_event_refused(struct mail_user *user,
			  const struct recall_request *request,
			  const struct recall_row *row)
{
	const char *verdict = recall_verdict_name(row->verdict);
	struct event_passthrough *e;

	e = event_begin(user, request, "recall_refused");
	e->add_str("message_id", request_get_message_id(request));
	e->add_str("verdict", verdict);
	e_log(e->event(), event_log_level(),
	      "recall %s: %s, actor=%s, reason=%s", request->recall_id,
	      verdict, request->actor, request->reason);
}

void recall_event_restored(struct mail_user *user,
			   const struct recall_request *request,
			   const struct recall_row *row)
{
	const char *verdict = recall_verdict_name(row->verdict);
	struct event_passthrough *e;

	e = event_begin(user, request, "recall_restored");
	e->add_str("verdict", verdict);
	e->add_int("copies", row->copies);
	e->add_int("present", row->present);
	if (row->error != NULL)
		e->add_str("error", row->error);
	e_log(e->event(), event_log_level(),
	      "recall %s: restore: %s, copies=%u, present=%u, actor=%s%s%s",
	      request->recall_id, verdict, row->copies, row->present, request->actor,
	      row->error == NULL ? "" : ", error=",
	      row->error == NULL ? "" : row->error);
}

void recall_event_purged(struct mail_user *user, const char *recall_id)
{
	struct event_passthrough *e = event_create_passthrough(user->event);

	e->set_name("recall_purged");
	e->add_str("recall_id", recall_id);
	e_log(e->event(), event_log_level(), "recall %s: purged", recall_id);
}
