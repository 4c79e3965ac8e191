#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "failpoint.h"
#include "recall-copies.h"
#include "recall-find.h"
#include "recall-quarantine.h"
#include "recall-quarantine-kept.h"
#include "recall-mails.h"
#include "recall-mails-same.h"
#include "recall-quarantine-read.h"
#include "recall-quarantine-record.h"

#include <time.h>

#define SECS_PER_DAY (24 * 60 * 60)

struct quarantine_load_context {
	struct recall_quarantine *q;
	const struct recall_quarantine_record *record;
};

/* What an earlier try has left. */
static int
quarantine_load_box(const struct recall_quarantine_box *qbox,
		    struct mailbox *box, const ARRAY_TYPE(seq_range) *all,
		    void *context, const char **error_r)
{
	struct quarantine_load_context *ctx = context;
	const struct recall_quarantine_record_box *rbox =
		recall_quarantine_record_find(ctx->record, qbox->guid);
	const unsigned int sure = rbox == NULL ? 0 : rbox->sure;
	ARRAY_TYPE(recall_mails_guid) guids;
	ARRAY_TYPE(seq_range) uids;

	t_array_init(&guids, 4);
	t_array_init(&uids, 4);
	if (seq_range_count(all) >= sure)
		seq_range_array_merge(&uids, all);
	else if (recall_mails_get_count(box, sure, &uids, error_r) < 0)
		return -1;
	if (seq_range_count(&uids) < sure && !recall_mails_are_files(box))
		ctx->q->lacking = TRUE;
	if (recall_mails_get_guids(box, &uids, &guids, error_r) < 0)
		return -1;
	recall_quarantine_kept_load(ctx->q->kept, qbox->guid, &guids);
	return 0;
}

/* Those of a mailbox that was copied, with the GUID that it has, are kept in
   one place. */
static struct recall_quarantine_record_box *
quarantine_record_get_box(struct recall_quarantine_record *record,
			  const struct recall_copies_box *cbox)
{
	struct recall_quarantine_record_box *rbox;

	array_foreach_modifiable(&record->boxes, rbox) {
		if (guid_128_equals(rbox->guid, cbox->guid))
			return rbox;
	}
	rbox = array_append_space(&record->boxes);
	guid_128_copy(rbox->guid, cbox->guid);
	rbox->vname = mailbox_get_vname(cbox->box);
	return rbox;
}

static int
quarantine_record_with(struct recall_quarantine *q, pool_t pool,
		       const struct recall_quarantine_record *recall,
		       const struct recall_copies *copies, const char **error_r)
{
	struct recall_quarantine_record record;
	struct quarantine_load_context load = { .q = q, .record = &record };
	struct recall_quarantine_record_box *rbox;
	const struct recall_quarantine_record_box *known;
	const struct recall_copies_box *cbox;
	bool complete;
	int ret;

	ret = recall_quarantine_record_read(q, pool, recall->recall_id,
					    &record, error_r);
	if (ret < 0)
		return -1;
	if (q->kept == NULL)
		q->kept = recall_quarantine_kept_init();
	if (record.unfinished)
		q->unfinished = TRUE;
	if (ret > 0 && !recall_quarantine_kept_is_loaded(q->kept)) {
		/* the first try may have been stopped before it took all of
		   it */
		recall_quarantine_kept_set_changed(q->kept);
		if (recall_quarantine_read(q, &record, quarantine_load_box,
					   &load, error_r) < 0)
			return -1;
	}
	complete = ret > 0 && record.latest >= recall->recalled;
	array_foreach(&copies->boxes, cbox) {
		known = recall_quarantine_record_find(&record, cbox->guid);
		if (known == NULL || known->sure == 0)
			complete = FALSE;
	}
	if (complete)
		return 0;

	record = *recall;
	record.unfinished = TRUE;
	/* what an order takes in the course of a day needs one record */
	if (ret > 0)
		record.latest = recall->recalled + SECS_PER_DAY;
	record.subject = copies->subject;
	record.from = copies->from;
	record.date = copies->date;
	t_array_init(&record.boxes, array_count(&copies->boxes));
	array_foreach(&copies->boxes, cbox) {
		rbox = quarantine_record_get_box(&record, cbox);
		rbox->copies += seq_range_count(&cbox->uids);
	}
	return recall_quarantine_record_write(q, &record, error_r);
}

static int
quarantine_record(struct recall_quarantine *q,
		  const struct recall_quarantine_record *recall,
		  const struct recall_copies *copies, const char **error_r)
{
	pool_t pool = pool_alloconly_create("recall quarantine record", 1024);
	int ret = quarantine_record_with(q, pool, recall, copies, error_r);

	pool_unref(&pool);
	return ret;
}

/* left_r has the messages for which the quarantine has no copy. Those that are
   gone are dropped. */
static int
quarantine_see_box(struct recall_quarantine *q, unsigned int box_idx,
		   struct recall_copies_box *cbox,
		   ARRAY_TYPE(recall_mails_guid) *left_r, const char **error_r)
{
	ARRAY_TYPE(recall_mails_guid) guids;
	const struct recall_mails_guid *mail;

	t_array_init(&guids, 4);
	if (recall_mails_get_guids(cbox->box, &cbox->uids, &guids,
				   error_r) < 0)
		return -1;
	if (array_count(&guids) < seq_range_count(&cbox->uids))
		recall_quarantine_kept_set_changed(q->kept);
	array_clear(&cbox->uids);
	array_foreach(&guids, mail)
		seq_range_array_add(&cbox->uids, mail->uid);
	recall_quarantine_kept_see(q->kept, box_idx, cbox->guid, &guids,
				   left_r);
	return 0;
}

static int
quarantine_add_box(struct recall_quarantine *q, const char *recall_id,
		   unsigned int box_idx, struct recall_copies_box *cbox,
		   const ARRAY_TYPE(recall_mails_guid) *left,
		   const struct recall_message_id *id, const char **error_r)
{
	ARRAY_TYPE(recall_mails_guid) none;
	ARRAY_TYPE(recall_mails_copied) copied;
	ARRAY_TYPE(seq_range) missing, gone;
	struct mailbox *box;
	int ret;

	t_array_init(&missing, 4);
	recall_quarantine_kept_want(q->kept, box_idx, cbox->guid, left,
				    &missing);
	if (array_is_empty(&missing))
		return 0;
	if (recall_quarantine_box_open(q, recall_id, cbox->guid, TRUE, &box,
				       error_r) < 0)
		return -1;
	RECALL_FAILPOINT("quarantine-box");
	t_array_init(&none, 1);
	t_array_init(&gone, 4);
	t_array_init(&copied, 4);
	seq_range_array_merge(&gone, &missing);
	ret = recall_mails_copy(cbox->box, &missing, box, NULL, &none, &copied,
				error_r);
	if (ret == 0) {
		ret = recall_mails_check_same(cbox->box, box, &copied, id,
					      error_r);
	}
	mailbox_free(&box);
	recall_quarantine_kept_saved(q->kept, box_idx, &copied);
	seq_range_array_remove_seq_range(&gone, &missing);
	if (!array_is_empty(&gone))
		recall_quarantine_kept_set_changed(q->kept);
	seq_range_array_remove_seq_range(&cbox->uids, &gone);
	return ret;
}

/* A copy that sdbox has found again after a process was killed has lost its
   flags. */
static int
quarantine_mend_box(struct recall_quarantine *q, const char *recall_id,
		    unsigned int box_idx, struct recall_copies_box *cbox,
		    const char **error_r)
{
	ARRAY_TYPE(recall_mails_copied) left;
	struct mailbox *box;
	int ret;

	t_array_init(&left, 4);
	recall_quarantine_kept_get_left(q->kept, box_idx, cbox->guid, &left);
	if (array_is_empty(&left))
		return 0;
	ret = recall_quarantine_box_open(q, recall_id, cbox->guid, FALSE, &box,
					 error_r);
	if (ret <= 0)
		return ret;
	ret = recall_mails_copy_flags(cbox->box, box, &left, error_r);
	mailbox_free(&box);
	return ret;
}

static int
quarantine_add_all(struct recall_quarantine *q, const char *recall_id,
		   struct recall_copies *copies, const char **error_r)
{
	ARRAY(ARRAY_TYPE(recall_mails_guid)) left;
	ARRAY_TYPE(recall_mails_guid) *box_left;
	struct recall_copies_box *cbox;
	unsigned int idx;

	recall_quarantine_kept_begin(q->kept);
	t_array_init(&left, array_count(&copies->boxes) + 1);
	array_foreach_modifiable(&copies->boxes, cbox) {
		box_left = array_append_space(&left);
		t_array_init(box_left, 4);
		if (quarantine_see_box(q, array_foreach_idx(&copies->boxes,
							    cbox),
				       cbox, box_left, error_r) < 0)
			return -1;
	}
	array_foreach_modifiable(&copies->boxes, cbox) {
		idx = array_foreach_idx(&copies->boxes, cbox);
		if (quarantine_add_box(q, recall_id, idx, cbox,
				       array_idx(&left, idx),
				       copies->criteria->message_id,
				       error_r) < 0 ||
		    quarantine_mend_box(q, recall_id, idx, cbox, error_r) < 0)
			return -1;
		RECALL_FAILPOINT("quarantine-copied");
	}
	return 0;
}

/* Returns 0 if it is as recorded, or must not be corrected: that may be done
   only if the index knows of all that there is. */
static int
quarantine_recount_box(struct recall_quarantine *q, const char *recall_id,
		       const struct recall_quarantine_record_box *rbox,
		       unsigned int *copies_r, const char **error_r)
{
	ARRAY_TYPE(seq_range) uids;
	struct mailbox *box;
	/* all was there, and we have taken some out */
	const bool known = q->kept != NULL && !q->lacking;
	int ret;

	*copies_r = 0;
	ret = recall_quarantine_box_open(q, recall_id, rbox->guid, FALSE, &box,
					 error_r);
	if (ret <= 0)
		return ret < 0 ? -1 : (rbox->copies > 0 ? 1 : 0);
	t_array_init(&uids, 4);
	ret = recall_mails_get_count(box, known ? 0 : rbox->sure, &uids,
				     error_r);
	*copies_r = seq_range_count(&uids);
	if (ret == 0 &&
	    (*copies_r != rbox->copies || *copies_r > rbox->sure) &&
	    (known || *copies_r >= rbox->sure || recall_mails_are_files(box)))
		ret = 1;
	mailbox_free(&box);
	return ret;
}

static int
quarantine_recount_with(struct recall_quarantine *q, pool_t pool,
			const char *recall_id, time_t again,
			const char **error_r)
{
	struct recall_quarantine_record record, recorded;
	const struct recall_quarantine_record_box *rbox;
	struct recall_quarantine_record_box *now;
	unsigned int copies;
	int ret;

	if (recall_quarantine_record_read(q, pool, recall_id, &recorded,
					  error_r) < 0)
		return -1;
	i_zero(&record);
	record.recall_id = recall_id;
	record.recalled = again;
	record.recount = TRUE;
	t_array_init(&record.boxes, array_count(&recorded.boxes) + 1);
	array_foreach(&recorded.boxes, rbox) {
		ret = quarantine_recount_box(q, recall_id, rbox, &copies,
					     error_r);
		if (ret < 0)
			return -1;
		if (ret == 0)
			continue;
		now = array_append_space(&record.boxes);
		*now = *rbox;
		now->copies = copies;
	}
	return array_is_empty(&record.boxes) && again == 0 ? 0 :
		recall_quarantine_record_write(q, &record, error_r);
}

/* again: when copies are taken for messages that are taken again, otherwise
   0. */
static int quarantine_recount(struct recall_quarantine *q,
			      const char *recall_id, time_t again,
			      const char **error_r)
{
	pool_t pool;
	int ret;

	i_assert(q->lock != NULL);

	pool = pool_alloconly_create("recall quarantine record", 1024);
	ret = quarantine_recount_with(q, pool, recall_id, again, error_r);
	pool_unref(&pool);
	return ret;
}

/* All is copied. Of an mdbox that has to be known before anything is taken. A
   restore that was killed, or has failed, may have given back what is about to
   be taken again: it must not count as given any more, as it does not with one
   record more. */
static int quarantine_set_copied(struct recall_quarantine *q,
				 const char *recall_id, const char **error_r)
{
	const bool again = !q->recorded_again &&
		recall_quarantine_kept_has_again(q->kept);

	if ((again || (q->unfinished &&
		       recall_quarantine_kept_is_changed(q->kept))) &&
	    quarantine_recount(q, recall_id, again ? time(NULL) : 0,
			       error_r) < 0)
		return -1;
	q->recorded_again = q->recorded_again || again;
	if (q->unfinished &&
	    recall_quarantine_record_finish(q, recall_id, error_r) < 0)
		return -1;
	q->unfinished = FALSE;
	return 0;
}

int recall_quarantine_add(struct recall_quarantine *q,
			  const struct recall_quarantine_record *recall,
			  struct recall_copies *copies,
			  const char **error_r)
{
	i_assert(q->lock != NULL);

	RECALL_FAILPOINT("quarantine-begin");
	if (quarantine_record(q, recall, copies, error_r) < 0)
		return -1;
	RECALL_FAILPOINT("quarantine-recorded");
	if (quarantine_add_all(q, recall->recall_id, copies, error_r) < 0)
		return -1;
	return quarantine_set_copied(q, recall->recall_id, error_r);
}

/* Before copies are taken out: whoever is killed then leaves no more recorded
   than there is, which nobody could correct of an mdbox. */
static int quarantine_record_fewer(struct recall_quarantine *q,
				   const char *recall_id,
				   const struct recall_copies_box *cbox,
				   const char **error_r)
{
	struct recall_quarantine_record record;
	struct recall_quarantine_record_box *rbox;

	i_zero(&record);
	record.recall_id = recall_id;
	record.recount = TRUE;
	t_array_init(&record.boxes, 1);
	rbox = quarantine_record_get_box(&record, cbox);
	rbox->copies = recall_quarantine_kept_count(q->kept, cbox->guid);
	return recall_quarantine_record_write(q, &record, error_r);
}

static int
quarantine_drop(struct recall_quarantine *q, const char *recall_id,
		const struct recall_copies_box *cbox,
		const ARRAY_TYPE(seq_range) *uids, const char **error_r)
{
	struct recall_quarantine_box qbox;
	ARRAY_TYPE(seq_range) left;
	struct mailbox *box;
	int ret;

	ret = recall_quarantine_box_open(q, recall_id, cbox->guid, FALSE, &box,
					 error_r);
	if (ret <= 0)
		return ret;
	t_array_init(&left, 4);
	/* if it fails recall_quarantine_finish() tries, and says so */
	if (!q->lacking && !recall_mails_are_files(box))
		(void)quarantine_record_fewer(q, recall_id, cbox, error_r);
	ret = recall_mails_expunge(box, uids, error_r);
	RECALL_FAILPOINT("quarantine-dropped");
	if (ret == 0)
		ret = recall_mails_get_all(box, &left, error_r);
	i_zero(&qbox);
	qbox.vname = t_strdup(mailbox_get_vname(box));
	mailbox_free(&box);
	/* there may be more than is known: that of a lost record */
	if (ret == 0 && array_is_empty(&left) &&
	    recall_quarantine_kept_count(q->kept, cbox->guid) == 0)
		ret = recall_quarantine_box_delete(q, &qbox, error_r);
	return ret;
}

void recall_quarantine_reconcile(struct recall_quarantine *q,
				 const char *recall_id,
				 struct recall_copies *copies)
{
	const struct recall_copies_box *cbox;
	ARRAY_TYPE(seq_range) surplus;
	int came_back;
	const char *error;

	if (q->kept == NULL)
		return;
	array_foreach(&copies->boxes, cbox) T_BEGIN {
		t_array_init(&surplus, 4);
		recall_quarantine_kept_reconcile(q->kept,
			array_foreach_idx(&copies->boxes, cbox), cbox,
			&came_back, &surplus);
		copies->expunged -= came_back;
		if (array_count(&surplus) > 0 &&
		    quarantine_drop(q, recall_id, cbox, &surplus, &error) < 0) {
			/* a restore gives more than there was */
			e_warning(q->user->event,
				  "recall %s: Can't take copies out of the "
				  "quarantine: %s", recall_id, error);
		}
	} T_END;
}

void recall_quarantine_restart(struct recall_quarantine *q,
			       const char *recall_id,
			       struct recall_copies *copies)
{
	recall_quarantine_reconcile(q, recall_id, copies);
	if (q->kept != NULL)
		recall_quarantine_kept_restart(q->kept);
}

int recall_quarantine_recount(struct recall_quarantine *q,
			      const char *recall_id, const char **error_r)
{
	return quarantine_recount(q, recall_id, 0, error_r);
}

void recall_quarantine_finish(struct recall_quarantine *q,
			      const char *recall_id)
{
	const char *error;

	if (q->kept != NULL && recall_quarantine_kept_is_changed(q->kept) &&
	    recall_quarantine_recount(q, recall_id, &error) < 0) {
		e_warning(q->user->event, "recall %s: Can't correct what was "
			  "recorded: %s", recall_id, error);
	}
}
