#include "lib.h"
#include "istream.h"
#include "message-address.h"
#include "message-header-parser.h"
#include "mail-storage-private.h"
#include "recall-message-id.h"
#include "recall-match.h"

/* The values of all fields: none if the message is gone. */
static int match_get_headers(struct mail *mail, const char *name,
			     const char *const **values_r)
{
	static const char *const none[] = { NULL };
	int ret = mail_get_headers(mail, name, values_r);

	if (ret <= 0)
		*values_r = none;
	return ret < 0 && mailbox_get_last_mail_error(mail->box) !=
		MAIL_ERROR_EXPUNGED ? -1 : 0;
}

struct match_read_context {
	const struct recall_message_id *id;
	bool found;
};

static void
match_read_line(struct message_header_line *hdr, struct match_read_context *ctx)
{
	if (hdr == NULL || strcasecmp(hdr->name, "Message-ID") != 0)
		return;
	if (hdr->continues)
		hdr->use_full_value = TRUE;
	else if (recall_message_id_is_in_header(ctx->id,
			(const char *)hdr->full_value, hdr->full_value_len))
		ctx->found = TRUE;
}

/* Reads the message itself. */
static int
match_read(struct mail *mail, const struct recall_message_id *id)
{
	struct match_read_context ctx = { .id = id };
	struct istream *input;

	if (mail_get_hdr_stream(mail, NULL, &input) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	message_parse_header(input, NULL,
			     MESSAGE_HEADER_PARSER_FLAG_CLEAN_ONELINE,
			     match_read_line, &ctx);
	if (input->stream_errno != 0) {
		mail_set_critical(mail, "read(%s) failed: %s",
				  i_stream_get_name(input),
				  i_stream_get_error(input));
		return -1;
	}
	return ctx.found ? 1 : 0;
}

int recall_match_message_id(struct mail *mail,
			    const struct recall_message_id *id)
{
	const char *const *values;

	if (match_get_headers(mail, "Message-ID", &values) < 0)
		return -1;
	/* Our index has one. Dovecot's cache may say that there is none if it
	   could not read the message as it was saved: mail_crypt without the
	   user's password. */
	if (*values == NULL && !mail->expunged)
		return match_read(mail, id);
	for (; *values != NULL; values++) {
		if (recall_message_id_is_in_header(id, *values,
						   strlen(*values)))
			return 1;
	}
	return 0;
}

static bool
match_addresses(const char *value, const char *const *senders,
		unsigned int *count)
{
	const struct message_address *addr;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), UINT_MAX, 0);
	for (; addr != NULL; addr = addr->next) {
		if (addr->mailbox == NULL || addr->domain == NULL ||
		    !str_array_icase_find(senders, t_strconcat(
				addr->mailbox, "@", addr->domain, NULL)))
			return FALSE;
		(*count)++;
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
