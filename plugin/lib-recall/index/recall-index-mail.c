#include "lib.h"
#include "array.h"
#include "mail-cache.h"
#include "message-header-parser.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-index-mail.h"
#include "recall-stream.h"

/* How far Dovecot looks at a header: 2.3.19 itself had no limit */
#ifdef MESSAGE_HEADER_BLOCK_DEFAULT_MAX_SIZE
#  define HEADER_SIZE_MAX MESSAGE_HEADER_BLOCK_DEFAULT_MAX_SIZE
#  define header_parser_set_unlimited(parser) \
	message_parse_header_set_limit(parser, (size_t)-1)
#else
#  define HEADER_SIZE_MAX ((uoff_t)-1)
#  define header_parser_set_unlimited(parser) \
	STMT_START { (void)(parser); } STMT_END
#endif

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

/* Whether there may be headers beyond those that Dovecot looks at. */
static bool may_have_more_headers(struct mail *mail)
{
	uoff_t size;

	return mail_get_physical_size(mail, &size) < 0 ||
		size >= HEADER_SIZE_MAX;
}

uint64_t recall_index_hash_mail(struct mail *mail, bool uncached)
{
	const char *const *values;
	uint64_t hash;

	if (recall_index_get_headers(mail, uncached, &values) < 0)
		return RECALL_INDEX_HASH_UNKNOWN;
	hash = recall_index_hash_headers(values);
	return hash == RECALL_INDEX_HASH_NONE && may_have_more_headers(mail) ?
		RECALL_INDEX_HASH_UNKNOWN : hash;
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
	header_parser_set_unlimited(parser);
	while (message_parse_header_next(parser, &hdr) > 0)
		read_line(hdr, &values);
	message_parse_header_deinit(&parser);
	if (recall_stream_check(mail, input) < 0)
		return -1;
	array_append_zero(&values);
	*values_r = array_front(&values);
	return 0;
}

int recall_index_get_all_headers(struct mail *mail, bool verify,
				 const char *const **values_r)
{
	if (!verify) {
		if (recall_index_get_headers(mail, FALSE, values_r) < 0)
			return -1;
		/* one that was cut off is empty */
		if (recall_index_hash_headers(*values_r) !=
		    RECALL_INDEX_HASH_NONE)
			return 0;
	}
	return recall_index_read_headers(mail, values_r);
}
