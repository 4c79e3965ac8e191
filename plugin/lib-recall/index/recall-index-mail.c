#include "lib.h"
#include "array.h"
#include "istream.h"
#include "mail-cache.h"
#include "message-header-parser.h"
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

static void
read_line(struct message_header_line *hdr, ARRAY_TYPE(const_string) *values)
{
	const char *value;

	if (strcasecmp(hdr->name, "Message-ID") != 0)
		return;
	if (hdr->continues) {
		hdr->use_full_value = TRUE;
		return;
	}
	value = t_strndup(hdr->full_value, hdr->full_value_len);
	array_push_back(values, &value);
}

int recall_index_read_headers(struct mail *mail, const char *const **values_r)
{
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	ARRAY_TYPE(const_string) values;
	struct istream *input;

	t_array_init(&values, 2);
	if (mail_get_hdr_stream(mail, NULL, &input) < 0)
		return -1;
	/* not message_parse_header(): 2.4 has a data stack frame around what it
	   calls */
	parser = message_parse_header_init(input, NULL,
		MESSAGE_HEADER_PARSER_FLAG_CLEAN_ONELINE);
	while (message_parse_header_next(parser, &hdr) > 0)
		read_line(hdr, &values);
	message_parse_header_deinit(&parser);
	if (input->stream_errno != 0) {
		mail_set_critical(mail, "read(%s) failed: %s",
				  i_stream_get_name(input),
				  i_stream_get_error(input));
		return -1;
	}
	array_append_zero(&values);
	*values_r = array_front(&values);
	return 0;
}
