#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "recall-settings.h"
#include "recall-boxes.h"
#include "recall-copies.h"
#include "recall-mails.h"
#include "recall-lazy-expunge.h"

struct lazy_box {
	/* not its name: it may be renamed, and another one get that */
	guid_128_t guid;
	uint32_t uid_validity;
	/* of the first message that comes after recall_lazy_expunge_begin() */
	uint32_t next_uid;
};

struct recall_lazy_expunge {
	struct mail_user *user;
	/* namespaces' prefixes and mailboxes' names */
	ARRAY_TYPE(const_string) places;
	ARRAY(struct lazy_box) boxes;
	/* of the messages that are expunged, one for each copy */
	ARRAY_TYPE(recall_mails_guid) guids;
};

static const char *lazy_error(struct mailbox *box)
{
	return t_strdup_printf("lazy_expunge: Mailbox %s: %s",
			       mailbox_get_vname(box),
			       mailbox_get_last_internal_error(box, NULL));
}

/* Calls the function for each mailbox that there is; goes on after errors. */
static int
lazy_foreach_box(struct recall_lazy_expunge *lazy,
		 int (*func)(struct recall_lazy_expunge *lazy,
			     struct mailbox *box, const char **error_r),
		 const char **error_r)
{
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *error;
	int ret = 0;

	iter = recall_boxes_iter_init(lazy->user);
	while ((box = recall_boxes_iter_next(iter)) != NULL) {
		if (recall_boxes_have(&lazy->places, box) &&
		    func(lazy, box, error_r) < 0)
			ret = -1;
		mailbox_free(&box);
	}
	if (recall_boxes_iter_deinit(&iter, &error) < 0) {
		*error_r = error;
		ret = -1;
	}
	return ret;
}

static int
lazy_take_down_box(struct recall_lazy_expunge *lazy, struct mailbox *box,
		   const char **error_r)
{
	struct mailbox_status status;
	struct mailbox_metadata metadata;
	struct lazy_box *lazy_box;

	if (mailbox_get_status(box, STATUS_UIDNEXT | STATUS_UIDVALIDITY,
			       &status) < 0 ||
	    mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0) {
		*error_r = lazy_error(box);
		return -1;
	}
	lazy_box = array_append_space(&lazy->boxes);
	guid_128_copy(lazy_box->guid, metadata.guid);
	lazy_box->uid_validity = status.uidvalidity;
	lazy_box->next_uid = status.uidnext;
	return 0;
}

int recall_lazy_expunge_begin(struct mail_user *user,
			      const struct recall_copies *copies,
			      struct recall_lazy_expunge **lazy_r,
			      const char **error_r)
{
	const struct recall_copies_box *cbox;
	struct recall_lazy_expunge *lazy;
	const char *place;

	*lazy_r = NULL;
	lazy = t_new(struct recall_lazy_expunge, 1);
	lazy->user = user;
	t_array_init(&lazy->places, 2);
	t_array_init(&lazy->boxes, 8);
	t_array_init(&lazy->guids, 8);
	array_foreach(&copies->boxes, cbox) {
		place = recall_settings_get_lazy_expunge(cbox->box);
		if (place == NULL)
			continue;
		if (array_lsearch(&lazy->places, &place, i_strcmp_p) == NULL)
			array_push_back(&lazy->places, &place);
		if (recall_mails_get_guids(cbox->box, &cbox->uids, &lazy->guids,
					   error_r) < 0)
			return -1;
	}
	if (array_count(&lazy->places) == 0)
		return 0;
	if (lazy_foreach_box(lazy, lazy_take_down_box, error_r) < 0)
		return -1;
	*lazy_r = lazy;
	return 0;
}

/* Returns -1 if it can't be said which mailbox it is. */
static int lazy_get_next_uid(const struct recall_lazy_expunge *lazy,
			     struct mailbox *box, uint32_t *next_uid_r)
{
	const struct lazy_box *lazy_box;
	struct mailbox_status status;
	struct mailbox_metadata metadata;

	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		return -1;
	mailbox_get_open_status(box, STATUS_UIDVALIDITY, &status);
	/* there was none yet */
	*next_uid_r = 1;
	array_foreach(&lazy->boxes, lazy_box) {
		if (lazy_box->uid_validity == status.uidvalidity &&
		    guid_128_equals(lazy_box->guid, metadata.guid))
			*next_uid_r = lazy_box->next_uid;
	}
	return 0;
}

/* Returns -1 if it can't be said whether it is one of those. */
static int
lazy_expunge_mail(struct recall_lazy_expunge *lazy, struct mail *mail)
{
	struct recall_mails_guid entry;
	uint32_t uid;

	i_zero(&entry);
	if (mail_get_special(mail, MAIL_FETCH_GUID, &entry.guid) < 0)
		return mail->expunged ? 0 : -1;
	if (recall_mails_use_guid(&lazy->guids, &entry, &uid))
		mail_expunge(mail);
	return 0;
}

static int
lazy_expunge_box(struct recall_lazy_expunge *lazy, struct mailbox *box,
		 const char **error_r)
{
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	uint32_t next_uid, seq1, seq2;
	int ret = 0;

	if (mailbox_open(box) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0 ||
	    lazy_get_next_uid(lazy, box, &next_uid) < 0) {
		*error_r = lazy_error(box);
		return -1;
	}
	mailbox_get_seq_range(box, next_uid, (uint32_t)-1, &seq1, &seq2);
	if (seq1 == 0)
		return 0;
	trans = mailbox_transaction_begin(box, 0, __func__);
	mail = mail_alloc(trans, MAIL_FETCH_GUID, NULL);
	for (; seq1 <= seq2; seq1++) T_BEGIN {
		mail_set_seq(mail, seq1);
		if (lazy_expunge_mail(lazy, mail) < 0)
			ret = -1;
	} T_END;
	if (ret < 0)
		*error_r = lazy_error(box);
	mail_free(&mail);
	if (mailbox_transaction_commit(&trans) < 0 ||
	    mailbox_sync(box, 0) < 0) {
		*error_r = lazy_error(box);
		ret = -1;
	}
	return ret;
}

void recall_lazy_expunge_finish(struct recall_lazy_expunge *lazy,
				struct recall_copies *copies)
{
	const char *error;

	if (lazy != NULL &&
	    lazy_foreach_box(lazy, lazy_expunge_box, &error) < 0 &&
	    copies->error == NULL)
		copies->error = p_strdup(copies->pool, error);
}
