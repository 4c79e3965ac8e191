#include "lib.h"
#include "mail-cache.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-index-mail.h"

int recall_index_get_headers(struct mail *mail, bool uncached,
			     const char *const **values_r)
{
	struct mail_private *pmail = (struct mail_private *)mail;
	struct mailbox_transaction_context *t = mail->transaction;
	bool decide = (t->flags & MAILBOX_TRANSACTION_FLAG_NO_CACHE_DEC) == 0;
	int ret;

	/* that we look at a header says nothing of what clients will want */
	if (decide)
		mail_cache_view_update_cache_decisions(t->cache_view, FALSE);
	pmail->v.set_uid_cache_updates(mail, TRUE);
	ret = mail_get_headers(mail, "Message-ID", values_r);
	pmail->v.set_uid_cache_updates(mail, uncached);
	if (decide)
		mail_cache_view_update_cache_decisions(t->cache_view, TRUE);
	return ret;
}

uint64_t recall_index_hash_mail(struct mail *mail, bool uncached)
{
	const char *const *values;

	if (recall_index_get_headers(mail, uncached, &values) < 0)
		return RECALL_INDEX_HASH_UNKNOWN;
	return recall_index_hash_headers(values);
}
