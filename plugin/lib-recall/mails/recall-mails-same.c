#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-index-mail.h"
#include "recall-mails-same.h"
#include "recall-match.h"

/* Returns 1 if they are the same, or one of them is gone; 0 if not, -1 if the
   copy can't be read. */
static int mails_are_same(struct mail *mail, struct mail *copy,
			  const struct recall_message_id *id)
{
	const char *const *values, *const *known;

	if (recall_index_read_headers(copy, &values) < 0) {
		return mailbox_get_last_mail_error(copy->box) ==
			MAIL_ERROR_EXPUNGED ? 1 : -1;
	}
	if (id != NULL)
		return recall_match_headers(values, id) ? 1 : 0;
	return recall_index_get_all_headers(mail, FALSE, &known) < 0 ||
		recall_index_hash_headers(known) ==
		recall_index_hash_headers(values) ? 1 : 0;
}

int recall_mails_check_same(struct mailbox *src, struct mailbox *dest,
			    const ARRAY_TYPE(recall_mails_copied) *copied,
			    const struct recall_message_id *id,
			    const char **error_r)
{
	struct mailbox_transaction_context *trans, *dest_trans;
	const struct recall_mails_copied *pair;
	struct mail *mail, *copy;
	uint32_t uid = 0;
	int ret = 1;

	if (recall_mails_are_files(src) && recall_mails_are_files(dest))
		return 0;
	trans = mailbox_transaction_begin(src, 0, "recall");
	mail = mail_alloc(trans, 0, NULL);
	dest_trans = mailbox_transaction_begin(dest, 0, "recall");
	copy = mail_alloc(dest_trans, 0, NULL);
	array_foreach(copied, pair) T_BEGIN {
		if (ret > 0 && mail_set_uid(mail, pair->uid) &&
		    mail_set_uid(copy, pair->dest_uid)) {
			uid = pair->uid;
			ret = mails_are_same(mail, copy, id);
		}
	} T_END;
	if (ret < 0) {
		*error_r = t_strdup_printf("Reading mailbox %s failed: %s",
			mailbox_get_vname(dest),
			mailbox_get_last_internal_error(dest, NULL));
	} else if (ret == 0) {
		*error_r = t_strdup_printf("Copying from mailbox %s failed: "
			"The copy of UID %u is another message, since the "
			"mdbox was rebuilt", mailbox_get_vname(src), uid);
	}
	mail_free(&mail);
	mail_free(&copy);
	mailbox_transaction_rollback(&trans);
	mailbox_transaction_rollback(&dest_trans);
	return ret > 0 ? 0 : -1;
}
