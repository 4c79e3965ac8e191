#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "recall-copies.h"
#include "recall-events.h"
#include "recall-lazy-expunge.h"
#include "recall-limits.h"
#include "recall-mails.h"
#include "recall-order.h"
#include "recall-settings.h"
#include "recall-tenant.h"
#include "recall-quarantine.h"
#include "recall-quarantine-kept.h"
#include "recall-quarantine-read.h"
#include "recall-quarantine-record.h"
#include "recall-quarantine-settings.h"
#include "recall-expunge.h"

#include <time.h>

#define SECS_PER_DAY (24 * 60 * 60)

struct expunge_context {
	struct mail_user *user;
	const struct recall_order *order;
	struct recall_copies *copies;
	struct recall_quarantine q;
	/* not only a look */
	bool change;
	/* an earlier try has left a record */
	bool recorded;
	/* somebody else has the quarantine locked */
	bool locked;
	/* from when on what is recalled is kept */
	time_t began;
};

/* What is due to the user after a look. */
static enum recall_verdict
expunge_decide(const struct recall_order *order,
	       const struct recall_copies *copies)
{
	/* a mailbox that can't be searched may hold a copy that was read; if
	   that does not matter then at least the rest can go */
	if (copies->error != NULL && (!order->force || copies->count == 0))
		return RECALL_VERDICT_ERROR;
	if (copies->count == 0) {
		return copies->other_sender_count > 0 ?
			RECALL_VERDICT_NOT_SENDER : RECALL_VERDICT_NOT_FOUND;
	}
	if (copies->read && !order->force)
		return RECALL_VERDICT_READ;
	return RECALL_VERDICT_WOULD_EXPUNGE;
}

static int expunge_lock(struct expunge_context *ctx, const char **error_r)
{
	int ret = recall_quarantine_lock(&ctx->q, error_r);

	ctx->locked = ret < 0;
	return ret;
}

/* A retry of what was done already, or has been undone since: then nothing is
   left to do. Returns -1 on errors. */
static int
expunge_try_record(struct expunge_context *ctx, enum recall_verdict *verdict,
		   const char **error_r)
{
	const struct recall_order *order = ctx->order;
	struct recall_copies *copies = ctx->copies;
	struct recall_quarantine_record record;
	unsigned int kept;
	int ret;

	if (!order->may_be_retry ||
	    (*verdict != RECALL_VERDICT_NOT_FOUND &&
	     *verdict != RECALL_VERDICT_WOULD_EXPUNGE))
		return 0;
	ret = recall_quarantine_record_read(&ctx->q, copies->pool,
					    order->recall_id, &record, error_r);
	if (ret <= 0)
		return ret;
	ctx->recorded = TRUE;
	if (!recall_quarantine_record_is_of(&record, order->message_id,
					    order->query)) {
		*error_r = "The recall id is that of another recall";
		return -1;
	}
	if (record.restored == 0) {
		if (*verdict == RECALL_VERDICT_WOULD_EXPUNGE) {
			/* the first try was stopped half-way */
			return 0;
		}
		if (recall_quarantine_count(&ctx->q, &record, &kept,
					    error_r) < 0)
			return -1;
		/* the first try was stopped before it did */
		if (ctx->change &&
		    kept != recall_quarantine_record_copies(&record) &&
		    ((ctx->q.lock == NULL &&
		      expunge_lock(ctx, error_r) < 0) ||
		     recall_quarantine_recount(&ctx->q, order->recall_id,
					       error_r) < 0))
			return -1;
		if (kept == 0) {
			/* or even before it took anything, and the user has
			   deleted it since */
			return 0;
		}
		copies->recorded_count = kept;
	}
	*verdict = RECALL_VERDICT_ALREADY_RECALLED;
	/* for the notice, in case the first try sent none */
	copies->subject = record.subject;
	copies->from = record.from;
	copies->date = record.date;
	return 0;
}

static int
expunge_check_record(struct expunge_context *ctx, enum recall_verdict *verdict,
		     const char **error_r)
{
	int ret;

	ret = expunge_try_record(ctx, verdict, error_r);
	if (ret >= 0 || !ctx->change || ctx->q.lock != NULL)
		return ret;
	/* somebody may be just about to purge it, or to restore it */
	if (expunge_lock(ctx, error_r) < 0)
		return -1;
	return expunge_try_record(ctx, verdict, error_r);
}

/* Mail may have come in since somebody counted. earlier is what another try has
   taken. */
static int
expunge_check_count(const struct expunge_context *ctx, unsigned int earlier,
		    const char **error_r)
{
	const unsigned int *max_copies = ctx->order->max_copies;
	const unsigned int copies = recall_copies_total(ctx->copies) + earlier;

	if (max_copies == NULL || copies <= *max_copies)
		return 0;
	*error_r = t_strdup_printf("%u messages match, but only %u did when "
				   "they were counted: nothing %swas deleted",
				   copies, *max_copies,
				   earlier > 0 ? "more " : "");
	return -1;
}

static int
expunge_check_all_tries(const struct expunge_context *ctx, const char **error_r)
{
	if (!ctx->order->max_of_all_tries)
		return 0;
	return expunge_check_count(ctx,
		recall_quarantine_kept_earlier(ctx->q.kept), error_r);
}

static int
expunge_quarantine(struct expunge_context *ctx, const char **error_r)
{
	const struct recall_order *order = ctx->order;
	const struct recall_quarantine_record record = {
		.recall_id = order->recall_id,
		.recalled = ctx->began,
		.actor = order->actor,
		.reason = order->reason,
		.message_id = order->message_id,
		.query = order->query,
	};

	if (recall_quarantine_add(&ctx->q, &record, ctx->copies, error_r) == 0)
		return 0;
	/* only when it copies does sdbox come over a file that a killed process
	   has left, and mends that when the mailbox is opened again */
	recall_quarantine_restart(&ctx->q, order->recall_id, ctx->copies);
	return recall_quarantine_add(&ctx->q, &record, ctx->copies, error_r);
}

/* Without a quarantine, what lazy_expunge makes of it stays. */
static void expunge_leave_lazy(struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	const char *place;

	array_foreach(&copies->boxes, cbox) {
		place = recall_settings_get_lazy_expunge(cbox->box);
		if (place != NULL)
			array_push_back(&copies->lazy_places, &place);
	}
}

/* Deletes what was found. Returns -1 if nothing of it was deleted. */
static int expunge_pass(struct expunge_context *ctx, const char **error_r)
{
	struct recall_copies *copies = ctx->copies;
	struct recall_lazy_expunge *lazy = NULL;

	if (expunge_check_count(ctx, 0, error_r) < 0)
		return -1;
	if (ctx->q.ns != NULL) {
		copies->synced = FALSE;
		if (expunge_quarantine(ctx, error_r) < 0 ||
		    expunge_check_all_tries(ctx, error_r) < 0 ||
		    recall_lazy_expunge_begin(ctx->user, copies, &lazy,
					      error_r) < 0) {
			recall_quarantine_reconcile(&ctx->q,
				ctx->order->recall_id, copies);
			return -1;
		}
	} else {
		expunge_leave_lazy(copies);
	}
	recall_copies_expunge(copies);
	recall_quarantine_reconcile(&ctx->q, ctx->order->recall_id, copies);
	recall_lazy_expunge_finish(lazy, copies);
	return 0;
}

/* What the last look says, after copies have been deleted. */
static enum recall_verdict
expunge_finish(struct recall_copies *copies, enum recall_verdict verdict)
{
	const char *error = NULL;

	switch (verdict) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_NOT_SENDER:
		return copies->expunged > 0 ? RECALL_VERDICT_EXPUNGED : verdict;
	case RECALL_VERDICT_READ:
		if (copies->expunged == 0)
			return verdict;
		/* neither all nor nothing */
		error = "A copy was read while it was recalled";
		break;
	case RECALL_VERDICT_WOULD_EXPUNGE:
		/* it came back each time */
		error = RECALL_COPIES_CHANGED;
		break;
	default:
		break;
	}
	if (copies->error == NULL)
		copies->error = error;
	return RECALL_VERDICT_ERROR;
}

/* Does what was decided, or finds out that it must not be done. Returns -1 if
   nothing was deleted because of an error. */
static int
expunge_copies(struct expunge_context *ctx, enum recall_verdict *verdict,
	       const char **error_r)
{
	struct recall_copies *copies = ctx->copies;
	unsigned int pass = 0;

	ctx->began = time(NULL);
	/* searching and waiting for the quarantine takes a while: the user may
	   have read the message since, or deleted it, or moved it to where it
	   was not yet or not any more looked for */
	recall_copies_refresh(copies);
	while ((*verdict = expunge_decide(ctx->order, copies)) ==
	       RECALL_VERDICT_WOULD_EXPUNGE && pass++ < RECALL_PASSES_MAX) {
		if (expunge_pass(ctx, error_r) < 0)
			return -1;
		if (copies->error != NULL)
			break;
		recall_copies_find(copies);
	}
	*verdict = expunge_finish(copies, *verdict);
	return 0;
}

/* What can't be put into the quarantine a dry run should not say would go. */
static int
expunge_try_keys(const struct recall_copies *copies, const char **error_r)
{
	const struct recall_copies_box *cbox;

	array_foreach(&copies->boxes, cbox) {
		if (recall_mails_try_key(cbox->box, &cbox->uids,
					 error_r) < 0)
			return -1;
	}
	return 0;
}

static int
expunge_found(struct expunge_context *ctx, enum recall_verdict *verdict,
	      const char **error_r)
{
	bool change;
	int ret;

	change = ctx->change && *verdict == RECALL_VERDICT_WOULD_EXPUNGE;
	if (change && expunge_check_count(ctx, 0, error_r) < 0)
		return -1;
	/* a quarantine that is not where it should be is always an error: with
	   wrong settings it's not even sure that all was searched */
	ret = recall_quarantine_init(ctx->user, &ctx->q, error_r);
	ctx->q.adding = *verdict == RECALL_VERDICT_WOULD_EXPUNGE;
	if (ctx->order->hurried)
		ctx->q.lock_secs = RECALL_LATE_LOCK_SECS;
	if (ret > 0 && change)
		ret = expunge_lock(ctx, error_r) < 0 ? -1 : 1;
	if (ret > 0)
		ret = expunge_check_record(ctx, verdict, error_r);
	if (ret >= 0 && change && *verdict == RECALL_VERDICT_WOULD_EXPUNGE)
		ret = expunge_copies(ctx, verdict, error_r);
	else if (ret >= 0 && ctx->q.ns != NULL &&
		 *verdict == RECALL_VERDICT_WOULD_EXPUNGE)
		ret = expunge_try_keys(ctx->copies, error_r);
	recall_quarantine_finish(&ctx->q, ctx->order->recall_id);
	if (ret >= 0 && change && ctx->recorded &&
	    *verdict == RECALL_VERDICT_NOT_FOUND) {
		/* the user has deleted what the first try had left */
		ret = expunge_check_record(ctx, verdict, error_r);
	}
	recall_quarantine_deinit(&ctx->q);
	return ret < 0 ? -1 : 0;
}

static enum recall_verdict
expunge_search(struct mail_user *user, const struct recall_order *order,
	       bool change, struct recall_copies *copies_r)
{
	recall_copies_init(user, &order->criteria, copies_r);
	copies_r->expunge = change;
	copies_r->spare_read = !order->force;
	copies_r->nameless = !order->notify && !order->report &&
		recall_quarantine_get_prefix(user) == NULL;
	if (!recall_tenant_matches(order->tenant, user))
		return RECALL_VERDICT_FORBIDDEN;
	recall_copies_find(copies_r);
	return expunge_decide(order, copies_r);
}

enum recall_verdict
recall_search(struct mail_user *user, const struct recall_order *order,
	    struct recall_copies *copies_r)
{
	return expunge_search(user, order, FALSE, copies_r);
}

static time_t expunge_kept_until(const struct expunge_context *ctx)
{
	unsigned int days;
	const char *error;

	if (ctx->q.ns == NULL || recall_quarantine_is_held(ctx->user) ||
	    recall_settings_parse_days(
			recall_settings(ctx->user)->recall_quarantine_days,
			&days, &error) < 0)
		return 0;
	return ctx->began + (time_t)days * SECS_PER_DAY;
}

static void
expunge_run(struct mail_user *user, const struct recall_order *order,
	    bool change, struct recall_copies *copies,
	    struct recall_outcome *outcome_r)
{
	struct expunge_context ctx = {
		.user = user,
		.order = order,
		.copies = copies,
		.change = change,
	};
	enum recall_verdict verdict;
	const char *error;

	i_zero(outcome_r);
	verdict = expunge_search(user, order, change, copies);
	if (verdict == RECALL_VERDICT_FORBIDDEN) {
		outcome_r->verdict = verdict;
		recall_event_refused(user, order);
		return;
	}
	if (expunge_found(&ctx, &verdict, &error) < 0) {
		verdict = RECALL_VERDICT_ERROR;
		if (copies->error == NULL)
			copies->error = p_strdup(copies->pool, error);
	}
	outcome_r->verdict = verdict;
	outcome_r->locked = ctx.locked;
	outcome_r->error = copies->error;
	if (verdict == RECALL_VERDICT_ALREADY_RECALLED)
		return;
	if (copies->expunged > 0)
		outcome_r->kept_until = expunge_kept_until(&ctx);
	outcome_r->copies = copies->expunged > 0 ?
		copies->expunged : copies->count;
	outcome_r->mailboxes = recall_copies_get_mailboxes(copies);
	outcome_r->mailbox_guids = recall_copies_get_guids(copies);
}

void recall_probe(struct mail_user *user, const struct recall_order *order,
		  struct recall_copies *copies_r,
		  struct recall_outcome *outcome_r)
{
	expunge_run(user, order, FALSE, copies_r, outcome_r);
}

void recall_expunge(struct mail_user *user, const struct recall_order *order,
		    struct recall_copies *copies_r,
		    struct recall_outcome *outcome_r)
{
	expunge_run(user, order, TRUE, copies_r, outcome_r);
}
