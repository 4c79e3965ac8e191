/* The header of a message, as Dovecot takes it apart, and an id asked for,
   which stands after it: what the index has of the message and whether the id
   matches must say the same. */
#include "lib.h"
#include "array.h"
#include "istream.h"
#include "message-header-parser.h"
#include "str.h"
#include "recall-index.h"

#include "fuzz.h"

/* each is looked for in all: none, one, two and more are what there is */
#define VALUES_MAX 4

struct check {
	const char *const *values;
	/* the one that names are read of */
	const char *value;
	uint64_t hash;
	size_t size;
	unsigned int names;
	bool any;
};

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	return 0;
}

/* All values, with their folds, as mail_get_headers() gives them. */
static const char *const *read_values(const void *data, size_t size)
{
	struct istream *input = i_stream_create_from_data(data, size);
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	ARRAY_TYPE(const_string) values;
	const char *value;
	string_t *str = t_str_new(256);

	t_array_init(&values, 4);
	parser = message_parse_header_init(input, NULL,
		MESSAGE_HEADER_PARSER_FLAG_SKIP_INITIAL_LWSP |
		MESSAGE_HEADER_PARSER_FLAG_DROP_CR);
	while (message_parse_header_next(parser, &hdr) > 0) {
		if (hdr->eoh || array_count(&values) == VALUES_MAX)
			break;
		if (strcasecmp(hdr->name, "Message-ID") != 0)
			continue;
		if (!hdr->continued)
			str_truncate(str, 0);
		else
			str_append_c(str, '\n');
		str_append_data(str, hdr->value, hdr->value_len);
		if (hdr->continues)
			continue;
		value = message_header_strdup(pool_datastack_create(),
					      str_data(str), str_len(str));
		array_push_back(&values, &value);
	}
	message_parse_header_deinit(&parser);
	i_stream_unref(&input);
	array_append_zero(&values);
	return array_front(&values);
}

static bool matches(const char *const *values,
		    const struct recall_message_id *id)
{
	for (; *values != NULL; values++) {
		if (recall_message_id_is_in_header(id, *values,
						   strlen(*values)))
			return TRUE;
	}
	return FALSE;
}

static bool check_name(const struct recall_message_id *id, void *context)
{
	struct check *check = context;

	check->any = TRUE;
	/* of very many some will do, as in fuzz-message-id.c */
	if (check->names++ >= 4 && check->names % (check->size / 32 | 1) != 0)
		return TRUE;
	require(check->hash == RECALL_INDEX_HASH_MANY ||
		check->hash == recall_index_hash(id));
	require(recall_message_id_is_in_header(id, check->value,
					       strlen(check->value)));
	return TRUE;
}

static void check_asked(const struct check *check, const char *text,
			size_t size)
{
	struct recall_message_id id;

	if (recall_message_id_parse(text, size, &id) != RECALL_MESSAGE_ID_OK)
		return;
	if (matches(check->values, &id))
		require(check->hash == RECALL_INDEX_HASH_MANY ||
			check->hash == recall_index_hash(&id));
	else
		require(check->hash != recall_index_hash(&id));
}

static void check_block(const uint8_t *data, size_t size)
{
	struct check check;
	const char *const *value, *end;
	string_t *crlf;
	size_t i;

	check.values = read_values(data, size);
	check.hash = recall_index_hash_headers(check.values);
	check.size = size;
	check.names = 0;
	check.any = FALSE;
	for (value = check.values; *value != NULL; value++) {
		check.value = *value;
		(void)recall_message_id_foreach(*value, strlen(*value),
						check_name, &check);
		check_asked(&check, *value, strlen(*value));
	}
	require(check.any == (check.hash != RECALL_INDEX_HASH_NONE));
	end = memmem(data, size, "\n\n", 2);
	if (end != NULL) {
		check_asked(&check, end + 2,
			    (const char *)data + size - (end + 2));
	}
	/* however lines end */
	if (memchr(data, '\r', size) != NULL)
		return;
	crlf = t_str_new(size * 2);
	for (i = 0; i < size; i++) {
		if (data[i] == '\n')
			str_append_c(crlf, '\r');
		str_append_c(crlf, data[i]);
	}
	require(recall_index_hash_headers(read_values(str_data(crlf),
						      str_len(crlf))) ==
		check.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	T_BEGIN {
		check_block(data, size);
	} T_END;
	return 0;
}
