#include "lib.h"
#include "array.h"
#include "mail-search.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "recall-copies.h"
#include "recall-events.h"
#include "recall-expunge.h"
#include "recall-id.h"
#include "recall-message-id.h"
#include "recall-notice.h"
#include "recall-notify.h"
#include "recall-order.h"
#include "recall-query.h"
#include "recall-settings.h"
#include "recall-standing.h"
#include "recall-standing-late.h"
#include "recall-stop.h"
#include "recall-tenant.h"
#include "recall-late.h"

#include <time.h>

bool recall_late_is_for(struct mail_user *user,
			const struct recall_standing_order *standing)
{
	return standing->expires > time(NULL) &&
		recall_standing_is_for_user(standing, user->username) &&
		recall_tenant_matches(standing->tenant, user);
}

struct late_order {
	struct recall_order order;
	struct recall_message_id id;
};

static int late_order_init(const struct recall_standing_order *standing,
			   const char *dir, struct late_order *late_r,
			   const char **error_r)
{
	struct recall_order *order = &late_r->order;
	const char *text = standing->message_id;

	i_zero(late_r);
	order->recall_id = standing->recall_id;
	order->actor = standing->actor;
	order->approver = "";
	order->reason = standing->reason;
	order->tenant = standing->tenant;
	order->force = standing->force;
	order->notify = standing->notify;
	order->may_be_retry = TRUE;
	order->criteria.senders = standing->senders;
	order->criteria.skip_outgoing = !standing->force;
	if (standing->query != NULL) {
		order->query = t_strarray_join(standing->query, " ");
		order->criteria.leave_out = recall_late_is_notice;
		order->criteria.leave_out_context = (void *)dir;
		return recall_query_parse(recall_late_query(standing),
					  &order->criteria.search_args,
					  error_r);
	}
	if (recall_message_id_parse(text, strlen(text), &late_r->id) !=
	    RECALL_MESSAGE_ID_OK) {
		*error_r = "The Message-ID is none";
		return -1;
	}
	order->criteria.message_id = &late_r->id;
	order->message_id = late_r->id.data;
	return 0;
}

/* To others something was sent: whoever has got a notice knows the order's id
   and may write it into anything. */
static bool late_was_sent(struct mail *mail)
{
	static const char *const names[] = {
		"Return-Path", "Delivered-To", "Received"
	};
	const char *value;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		if (mail_get_first_header(mail, names[i], &value) != 0)
			return TRUE;
	}
	return FALSE;
}

/* Notices are saved where they belong, unless the administrator has them sent:
   then all that tells is the id of an order that stands. */
static bool late_is_ours(struct mail *mail, const char *dir,
			 const char *recall_id)
{
	struct mail_user *user = mail->box->storage->user;
	const char *error;
	bool submitting;

	if (recall_settings_parse_delivery(
			recall_settings(user)->recall_notice_delivery,
			&submitting, &error) == 0 && submitting)
		return !recall_standing_has_ended(dir, recall_id);
	return !late_was_sent(mail);
}

bool recall_late_is_notice(struct mail *mail, void *context)
{
	const char *recall_id;

	return mail_get_first_header(mail, RECALL_NOTICE_HEADER,
				     &recall_id) > 0 &&
		recall_id_is_valid(recall_id) &&
		late_is_ours(mail, context, recall_id);
}

const char *const *
recall_late_query(const struct recall_standing_order *standing)
{
	static const char *const begin = "(", *const end = ")";
	const char *const *word;
	ARRAY_TYPE(const_string) words;

	t_array_init(&words, 16);
	array_push_back(&words, &begin);
	for (word = standing->query; *word != NULL; word++)
		array_push_back(&words, word);
	array_push_back(&words, &end);
	array_append_zero(&words);
	return array_front(&words);
}

static void late_note(struct mail_user *user, const struct recall_order *order,
		      const struct recall_copies *copies,
		      const struct recall_outcome *outcome)
{
	const struct recall_standing_late late = {
		.recall_id = order->recall_id,
		.username = user->username,
		.time = time(NULL),
		.copies = copies->expunged,
		.mailboxes = outcome->mailboxes,
	};
	const char *error;

	if (recall_standing_late_add(recall_settings(user)->recall_standing_dir,
				     &late, &error) < 0)
		e_error(user->event, "recall %s: %s", order->recall_id, error);
}

bool recall_late(struct mail_user *user,
		 const struct recall_standing_order *standing, bool hurried,
		 struct recall_copies *copies_r,
		 struct recall_outcome *outcome_r)
{
	const char *dir = recall_settings(user)->recall_standing_dir;
	struct late_order late;
	const char *error, *stopped;
	int ret;

	if (!recall_late_is_for(user, standing) ||
	    recall_standing_has_ended(dir, standing->recall_id))
		return FALSE;
	ret = late_order_init(standing, dir, &late, &error);
	late.order.hurried = hurried;
	stopped = recall_stop_check(dir);
	if (stopped != NULL) {
		error = stopped;
		ret = -1;
	}
	if (ret < 0) {
		recall_copies_init(user, &late.order.criteria, copies_r);
		i_zero(outcome_r);
		outcome_r->verdict = RECALL_VERDICT_ERROR;
		outcome_r->error = error;
	} else {
		recall_expunge(user, &late.order, copies_r, outcome_r);
	}
	if (hurried && outcome_r->locked) {
		outcome_r->error = t_strconcat(outcome_r->error,
			": it waits for the next doveadm recall standing run",
			NULL);
	}
	/* a copy kept, or none at all, is no news to anyone: the recall itself
	   has told */
	if (copies_r->expunged > 0) {
		recall_notify(user, &late.order, copies_r, outcome_r);
		recall_event_finished(user, &late.order, copies_r, outcome_r);
		late_note(user, &late.order, copies_r, outcome_r);
	}
	if (copies_r->expunged > 0 ||
	    outcome_r->verdict == RECALL_VERDICT_ERROR)
		recall_event_late(user, &late.order, copies_r, outcome_r);
	if (late.order.criteria.search_args != NULL)
		mail_search_args_unref(&late.order.criteria.search_args);
	return TRUE;
}
