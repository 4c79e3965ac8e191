#include "lib.h"
#include "recall-mail-iter.h"

void recall_mail_iter_init(struct recall_mail_iter *iter, struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   enum mail_fetch_field wanted_fields,
			   struct mailbox_header_lookup_ctx *headers)
{
	i_zero(iter);
	/* what we look at says nothing of what clients will want */
	iter->trans = mailbox_transaction_begin(box,
		MAILBOX_TRANSACTION_FLAG_NO_CACHE_DEC, "recall");
	iter->mail = mail_alloc(iter->trans, wanted_fields, headers);
	seq_range_array_iter_init(&iter->uids, uids);
}

bool recall_mail_iter_next_uid(struct recall_mail_iter *iter,
			       struct mail **mail_r)
{
	if (!seq_range_array_iter_nth(&iter->uids, iter->n++, &iter->uid))
		return FALSE;
	*mail_r = mail_set_uid(iter->mail, iter->uid) ? iter->mail : NULL;
	return TRUE;
}

struct mail *recall_mail_iter_next(struct recall_mail_iter *iter)
{
	struct mail *mail;

	while (recall_mail_iter_next_uid(iter, &mail)) {
		if (mail != NULL)
			return mail;
	}
	return NULL;
}

int recall_mail_iter_commit(struct recall_mail_iter *iter)
{
	mail_free(&iter->mail);
	return mailbox_transaction_commit(&iter->trans);
}

void recall_mail_iter_rollback(struct recall_mail_iter *iter)
{
	mail_free(&iter->mail);
	mailbox_transaction_rollback(&iter->trans);
}
