#include "lib.h"
#include "message-address.h"
#include "mail-storage.h"
#include "recall-index.h"
#include "recall-index-mail.h"
#include "recall-message-id.h"
#include "recall-match.h"

/* Authors of a message. One that has more, for which memory would be taken, is
   nobody's. */
#define AUTHORS_MAX 1000

static const char *const none[] = { NULL };

/* The values of all fields: none if the message is gone. */
static int match_get_headers(struct mail *mail, const char *name,
			     const char *const **values_r)
{
	int ret = mail_get_headers(mail, name, values_r);

	if (ret <= 0)
		*values_r = none;
	return ret < 0 && mailbox_get_last_mail_error(mail->box) !=
		MAIL_ERROR_EXPUNGED ? -1 : 0;
}

bool recall_match_headers(const char *const *values,
			  const struct recall_message_id *id)
{
	for (; *values != NULL; values++) {
		if (recall_message_id_is_in_header(id, *values,
						   strlen(*values)))
			return TRUE;
	}
	return FALSE;
}

int recall_match_message_id(struct mail *mail,
			    const struct recall_message_id *id, bool verify)
{
	const char *const *values = none;

	if (!verify && match_get_headers(mail, "Message-ID", &values) < 0)
		return -1;
	/* our index has one */
	if (recall_index_hash_headers(values) == RECALL_INDEX_HASH_NONE &&
	    !mail->expunged &&
	    recall_index_read_headers(mail, &values) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	return recall_match_headers(values, id) ? 1 : 0;
}

static bool
match_addresses(const char *value, const char *const *senders,
		unsigned int *count)
{
	const struct message_address *addr;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), AUTHORS_MAX + 1, 0);
	for (; addr != NULL; addr = addr->next) {
		if (addr->mailbox == NULL || addr->domain == NULL ||
		    !str_array_icase_find(senders, t_strconcat(
				addr->mailbox, "@", addr->domain, NULL)))
			return FALSE;
		if (++*count > AUTHORS_MAX)
			return FALSE;
	}
	return TRUE;
}

bool recall_match_is_read(struct mail *mail)
{
	return (mail_get_flags(mail) & (MAIL_SEEN | MAIL_ANSWERED)) != 0 ||
		str_array_icase_find(mail_get_keywords(mail), "$Forwarded");
}

int recall_match_sender(struct mail *mail, const char *const *senders)
{
	const char *const *values;
	unsigned int count = 0;

	if (match_get_headers(mail, "From", &values) < 0)
		return -1;
	/* a second author or a second From field must not open other people's
	   mail to the one who asks */
	for (; *values != NULL; values++) {
		if (!match_addresses(*values, senders, &count))
			return 0;
	}
	return count > 0 ? 1 : 0;
}
