#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-storage.h"
#include "recall-copies.h"
#include "recall-order.h"
#include "recall-utf8.h"
#include "recall-events.h"

static enum log_type event_log_type(bool quiet)
{
	return quiet ? LOG_TYPE_DEBUG : LOG_TYPE_INFO;
}

/* Many of those who are looked at don't have the message. A line for each would
   cost as much as a fifth of looking at them. */
static enum log_type
event_outcome_log_type(const struct recall_order *order,
		       const struct recall_outcome *outcome)
{
	return event_log_type(order->quiet ||
		(order->hits && outcome->verdict == RECALL_VERDICT_NOT_FOUND));
}

static struct event_passthrough *
event_begin(struct mail_user *user, const struct recall_order *order,
	    const char *name)
{
	struct event_passthrough *e = event_create_passthrough(user->event);

	e->set_name(name);
	e->add_str("recall_id", order->recall_id);
	e->add_str("actor", order->actor);
	if (*order->approver != '\0')
		e->add_str("approver", order->approver);
	e->add_str("reason", order->reason);
	if (order->tenant != NULL)
		e->add_str("tenant", order->tenant);
	return e;
}

/* Of a query there is none. */
static const char *order_get_message_id(const struct recall_order *order)
{
	return order->message_id == NULL ? "" : order->message_id;
}

/* Names of mailboxes are users'. Theirs, and errors that have them, must not
   look like another line of the log. */
static const char *event_text(const char *text)
{
	return text == NULL ? "" : recall_utf8_line(text, UINT_MAX);
}

static void
event_expunged(struct mail_user *user, const struct recall_order *order,
	       const struct recall_copies_expunged *ebox)
{
	const char *message_id = order_get_message_id(order);
	struct event_passthrough *e;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid;

	seq_range_array_iter_init(&iter, &ebox->uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		e = event_begin(user, order, "recall_message_expunged");
		e->add_str("message_id", message_id);
		e->add_str("mailbox", ebox->vname);
		e->add_str("mailbox_guid", guid_128_to_string(ebox->guid));
		e->add_int("uid", uid);
		e_debug(e->event(), "recall %s: expunged <%s> from %s, uid=%u",
			order->recall_id, message_id,
			event_text(ebox->vname), uid);
	}
}

void recall_event_finished(struct mail_user *user,
			   const struct recall_order *order,
			   const struct recall_copies *copies,
			   const struct recall_outcome *outcome)
{
	const char *verdict = recall_verdict_name(outcome->verdict);
	const char *message_id = order_get_message_id(order);
	const struct recall_copies_expunged *ebox;
	struct event_passthrough *e;

	array_foreach(&copies->expunged_boxes, ebox) T_BEGIN {
		event_expunged(user, order, ebox);
	} T_END;
	e = event_begin(user, order, "recall_finished");
	e->add_str("message_id", message_id);
	e->add_str("verdict", verdict);
	e->add_int("copies", outcome->copies);
	e->add_str("read", copies->read || copies->read_before ? "yes" : "no");
	e->add_str("forced", order->force ? "yes" : "no");
	e->add_str("notice", recall_notice_status_name(outcome->notice));
	e->add_timeval("looked_at", &copies->looked_at);
	if (outcome->error != NULL)
		e->add_str("error", outcome->error);
	e_log(e->event(), event_outcome_log_type(order, outcome),
	      "recall %s: <%s> %s, copies=%u, forced=%s, notice=%s, actor=%s, "
	      "%s%s%sreason=%s%s%s", order->recall_id, message_id, verdict,
	      outcome->copies, order->force ? "yes" : "no",
	      recall_notice_status_name(outcome->notice), order->actor,
	      *order->approver == '\0' ? "" : "approver=", order->approver,
	      *order->approver == '\0' ? "" : ", ", order->reason,
	      outcome->error == NULL ? "" : ", error=",
	      event_text(outcome->error));
}

void recall_event_late(struct mail_user *user,
		       const struct recall_order *order,
		       const struct recall_copies *copies,
		       const struct recall_outcome *outcome)
{
	const char *verdict = recall_verdict_name(outcome->verdict);
	const char *mailboxes =
		outcome->mailboxes == NULL ? "" : outcome->mailboxes;
	struct event_passthrough *e;

	e = event_begin(user, order, "recall_late");
	e->add_str("message_id", order_get_message_id(order));
	e->add_str("verdict", verdict);
	e->add_int("copies", copies->expunged);
	e->add_str("mailboxes", mailboxes);
	if (outcome->error != NULL)
		e->add_str("error", outcome->error);
	e_log(e->event(), outcome->verdict == RECALL_VERDICT_ERROR ?
	      LOG_TYPE_ERROR : LOG_TYPE_INFO,
	      "recall %s: came late: %s, copies=%u, mailboxes=%s%s%s",
	      order->recall_id, verdict, copies->expunged,
	      event_text(mailboxes),
	      outcome->error == NULL ? "" : ", error=",
	      event_text(outcome->error));
}

void recall_event_refused(struct mail_user *user,
			  const struct recall_order *order)
{
	const char *verdict = recall_verdict_name(RECALL_VERDICT_FORBIDDEN);
	struct event_passthrough *e;

	e = event_begin(user, order, "recall_refused");
	e->add_str("message_id", order_get_message_id(order));
	e->add_str("verdict", verdict);
	e_log(e->event(), event_log_type(order->quiet),
	      "recall %s: %s, actor=%s, reason=%s", order->recall_id,
	      verdict, order->actor, order->reason);
}

void recall_event_restored(struct mail_user *user,
			   const struct recall_order *order,
			   const struct recall_outcome *outcome)
{
	const char *verdict = recall_verdict_name(outcome->verdict);
	struct event_passthrough *e;

	e = event_begin(user, order, "recall_restored");
	e->add_str("verdict", verdict);
	e->add_int("copies", outcome->copies);
	e->add_int("present", outcome->present);
	if (outcome->error != NULL)
		e->add_str("error", outcome->error);
	e_log(e->event(), event_outcome_log_type(order, outcome),
	      "recall %s: restore: %s, copies=%u, present=%u, actor=%s%s%s",
	      order->recall_id, verdict, outcome->copies, outcome->present,
	      order->actor,
	      outcome->error == NULL ? "" : ", error=",
	      event_text(outcome->error));
}

void recall_event_exported(struct mail_user *user,
			   const struct recall_order *order)
{
	struct event_passthrough *e = event_begin(user, order,
						  "recall_exported");

	e_log(e->event(), event_log_type(order->quiet),
	      "recall %s: exported, actor=%s, reason=%s", order->recall_id,
	      order->actor, order->reason);
}

void recall_event_purged(struct mail_user *user, const char *recall_id,
			 bool quiet)
{
	struct event_passthrough *e = event_create_passthrough(user->event);

	e->set_name("recall_purged");
	e->add_str("recall_id", recall_id);
	e_log(e->event(), event_log_type(quiet), "recall %s: purged",
	      recall_id);
}

void recall_event_stop(const struct recall_order *order, bool release)
{
	struct event *event = event_create(NULL);
	struct event_passthrough *e = event_create_passthrough(event);

	e->set_name(release ? "recall_released" : "recall_stopped");
	e->add_str("actor", order->actor);
	e->add_str("reason", order->reason);
	e_log(e->event(), event_log_type(order->quiet),
	      "recalls are %s, actor=%s, reason=%s",
	      release ? "released" : "stopped", order->actor, order->reason);
	event_unref(&event);
}
