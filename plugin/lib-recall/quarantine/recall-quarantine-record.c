#include "lib.h"
#include "array.h"
#include "istream.h"
#include "message-size.h"
#include "str.h"
#include "mail-storage-private.h"
#include "failpoint.h"
#include "recall-mail-iter.h"
#include "recall-mails.h"
#include "recall-quarantine.h"
#include "recall-quarantine-kept.h"
#include "recall-quarantine-record.h"
#include "recall-save.h"
#include "recall-stream.h"

/* A record of what a recall is about to copy has this flag until it has: of an
   mdbox nobody can tell otherwise what is lost, which its storage may have
   still, from what a recall that was killed never came to copy. If the flag is
   lost the record counts as any other. */
#define RECORD_UNFINISHED MAIL_DRAFT

static int
record_parse_mail(struct recall_quarantine_record *record, pool_t pool,
		  struct mail *mail)
{
	struct message_size hdr_size;
	struct istream *input;

	if (mail_get_stream(mail, &hdr_size, NULL, &input) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	i_stream_seek(input, hdr_size.physical_size);
	record->unfinished = (mail_get_flags(mail) & RECORD_UNFINISHED) != 0;
	recall_quarantine_record_parse(record, pool, input);
	return recall_stream_check(mail, input) < 0 ? -1 : 1;
}

/* The last records of all, if they are of what was given: what was added after
   them, and is lost, leaves a gap. */
struct record_notes {
	uint32_t first_uid, last_uid;
	unsigned int given;
};

static void record_notes_add(struct record_notes *notes,
			     const struct recall_quarantine_record *record,
			     uint32_t uid)
{
	const unsigned int given = array_count(&record->given);

	if (given == notes->given)
		notes->first_uid = 0;
	else if (notes->first_uid == 0 || uid != notes->last_uid + 1)
		notes->first_uid = uid;
	notes->last_uid = uid;
	notes->given = given;
}

int recall_quarantine_record_read(struct recall_quarantine *q, pool_t pool,
				  const char *recall_id,
				  struct recall_quarantine_record *record_r,
				  const char **error_r)
{
	struct recall_mail_iter iter;
	struct mailbox_status status;
	struct mailbox *box;
	struct mail *mail;
	ARRAY_TYPE(seq_range) uids;
	struct record_notes notes;
	bool found = FALSE, unfinished = FALSE;
	int ret;

	i_zero(record_r);
	record_r->recall_id = p_strdup(pool, recall_id);
	p_array_init(&record_r->boxes, pool, 4);
	p_array_init(&record_r->given, pool, 2);
	ret = recall_quarantine_box_open(q, recall_id, NULL, FALSE, &box,
					 error_r);
	if (ret <= 0)
		return ret;

	t_array_init(&uids, 4);
	if (recall_mails_get_count(box, 1, &uids, error_r) < 0) {
		mailbox_free(&box);
		return -1;
	}
	mailbox_get_open_status(box, STATUS_UIDVALIDITY | STATUS_UIDNEXT,
				&status);
	i_zero(&notes);
	RECALL_FAILPOINT("record-read");
	recall_mail_iter_init(&iter, box, &uids,
			      MAIL_FETCH_STREAM_BODY | MAIL_FETCH_FLAGS, NULL);
	while (ret >= 0 && (mail = recall_mail_iter_next(&iter)) != NULL) {
		ret = record_parse_mail(record_r, pool, mail);
		if (ret > 0) {
			found = TRUE;
			unfinished = unfinished || record_r->unfinished;
			record_notes_add(&notes, record_r, iter.uid);
		}
	}
	record_r->uid_validity = status.uidvalidity;
	record_r->next_uid =
		notes.first_uid != 0 && notes.last_uid + 1 == status.uidnext ?
		notes.first_uid : status.uidnext;
	record_r->unfinished = unfinished;
	if (ret < 0) {
		*error_r = t_strdup_printf("Reading mailbox %s failed: %s",
			mailbox_get_vname(box),
			mailbox_get_last_internal_error(box, NULL));
	}
	recall_mail_iter_rollback(&iter);
	mailbox_free(&box);
	return ret < 0 ? -1 : (found ? 1 : 0);
}

/* How many records can be opened. */
static int
record_count(struct mailbox *box, unsigned int *count_r, const char **error_r)
{
	ARRAY_TYPE(seq_range) uids;
	ARRAY_TYPE(recall_mails_guid) guids;

	t_array_init(&uids, 4);
	t_array_init(&guids, 4);
	if (recall_mails_get_all(box, &uids, error_r) < 0 ||
	    recall_mails_get_guids(box, &uids, &guids, error_r) < 0)
		return -1;
	*count_r = array_count(&guids);
	return 0;
}

static int
record_write(struct recall_quarantine *q,
	     const struct recall_quarantine_record *record,
	     const char **error_r)
{
	struct mailbox *box;
	string_t *str = t_str_new(1024);
	enum mail_flags flags = MAIL_SEEN;
	unsigned int before = 0, count;
	int ret;

	ret = recall_quarantine_box_open(q, record->recall_id, NULL, TRUE, &box,
					 error_r);
	if (ret < 0)
		return -1;
	recall_quarantine_record_render(record, str);
	if (ret == 1 && record_count(box, &before, error_r) < 0) {
		mailbox_free(&box);
		return -1;
	}
	if (record->unfinished && !recall_mails_are_files(box)) {
		flags |= RECORD_UNFINISHED;
		q->unfinished = TRUE;
	}
	ret = recall_save(box, flags, str, "recall record");
	if (ret == 0) {
		/* sdbox may have deleted what it has said to be saved */
		ret = record_count(box, &count, error_r);
		if (ret == 0 && count <= before) {
			*error_r = t_strdup_printf("Saving to mailbox %s "
				"failed: The record can't be opened",
				mailbox_get_vname(box));
			ret = -1;
		}
	} else {
		*error_r = t_strdup_printf("Saving to mailbox %s failed: %s",
			mailbox_get_vname(box),
			mailbox_get_last_internal_error(box, NULL));
	}
	mailbox_free(&box);
	return ret;
}

/* Where no record could be saved, as when the quota is full, nothing tells of a
   recall that has taken nothing. What goes wrong here is left to a retry or a
   purge. */
static void
record_drop_empty(struct recall_quarantine *q, const char *recall_id)
{
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	ARRAY_TYPE(seq_range) uids;
	struct mailbox *box;
	const char *error;

	if (recall_quarantine_list(q, pool_datastack_create(), recall_id,
				   &boxes, &error) < 0 ||
	    array_count(&boxes) != 1)
		return;
	qbox = array_front(&boxes);
	if (!guid_128_is_empty(qbox->guid) ||
	    recall_quarantine_box_open(q, recall_id, NULL, FALSE, &box,
				       &error) <= 0)
		return;
	t_array_init(&uids, 1);
	if (recall_mails_get_count(box, 1, &uids, &error) < 0)
		seq_range_array_add(&uids, 1);
	mailbox_free(&box);
	if (array_is_empty(&uids))
		(void)recall_quarantine_box_delete(q, qbox, &error);
}

int
recall_quarantine_record_write(struct recall_quarantine *q,
			       const struct recall_quarantine_record *record,
			       const char **error_r)
{
	/* only when it saves does sdbox come over a file that a killed process
	   has left, and mends that when the mailbox is opened again: then there
	   is a record of that process, too, with what it had counted */
	if (record_write(q, record, error_r) == 0)
		return 0;
	if (q->kept != NULL)
		recall_quarantine_kept_set_changed(q->kept);
	if (record_write(q, record, error_r) == 0)
		return 0;
	record_drop_empty(q, record->recall_id);
	return -1;
}

int recall_quarantine_record_finish(struct recall_quarantine *q,
				    const char *recall_id,
				    const char **error_r)
{
	struct recall_mail_iter iter;
	struct mailbox *box;
	struct mail *mail;
	ARRAY_TYPE(seq_range) uids;
	int ret;

	ret = recall_quarantine_box_open(q, recall_id, NULL, FALSE, &box,
					 error_r);
	if (ret <= 0)
		return ret;
	t_array_init(&uids, 4);
	ret = recall_mails_get_all(box, &uids, error_r);
	if (ret == 0) {
		recall_mail_iter_init(&iter, box, &uids, MAIL_FETCH_FLAGS,
				      NULL);
		while ((mail = recall_mail_iter_next(&iter)) != NULL) {
			if ((mail_get_flags(mail) & RECORD_UNFINISHED) != 0) {
				mail_update_flags(mail, MODIFY_REMOVE,
						  RECORD_UNFINISHED);
			}
		}
		ret = recall_mail_iter_commit(&iter);
		if (ret < 0) {
			*error_r = t_strdup_printf("Setting flags in mailbox "
				"%s failed: %s", mailbox_get_vname(box),
				mailbox_get_last_internal_error(box, NULL));
		}
	}
	mailbox_free(&box);
	return ret;
}

int recall_quarantine_record_write_given(
	struct recall_quarantine *q,
	const struct recall_quarantine_record *record, const guid_128_t guid,
	uint32_t uid_validity, const ARRAY_TYPE(seq_range) *uids,
	const char **error_r)
{
	struct recall_quarantine_record note;
	struct recall_quarantine_record_given *given;
	const struct seq_range *range;

	i_zero(&note);
	note.recall_id = record->recall_id;
	t_array_init(&note.boxes, 1);
	t_array_init(&note.given, array_count(uids) + 1);
	array_foreach(uids, range) {
		given = array_append_space(&note.given);
		guid_128_copy(given->guid, guid);
		given->record_uid_validity = record->uid_validity;
		given->record_next_uid = record->next_uid;
		given->uid_validity = uid_validity;
		given->uids = *range;
	}
	return recall_quarantine_record_write(q, &note, error_r);
}

void recall_quarantine_record_get_given(
	const struct recall_quarantine_record *record, const guid_128_t guid,
	uint32_t uid_validity, ARRAY_TYPE(seq_range) *uids)
{
	const struct recall_quarantine_record_given *given;

	if (!array_is_created(&record->given))
		return;
	array_foreach(&record->given, given) {
		if (guid_128_equals(given->guid, guid) &&
		    given->uid_validity == uid_validity &&
		    given->record_uid_validity == record->uid_validity &&
		    given->record_next_uid == record->next_uid) {
			seq_range_array_add_range(uids, given->uids.seq1,
						  given->uids.seq2);
		}
	}
}
