#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "str-sanitize.h"
#include "imap-util.h"
#include "message-size.h"
#include "mail-user.h"
#include "doveadm-recall-listing.h"
#include "recall-utf8.h"
#include "doveadm-recall-fetch-fields.h"
#include "doveadm-recall-rows.h"

static int get_mailbox(struct mail *mail, const char **value_r)
{
	*value_r = mailbox_get_vname(mail->box);
	return 0;
}

static int get_uid(struct mail *mail, const char **value_r)
{
	*value_r = dec2str(mail->uid);
	return 0;
}

static int get_guid(struct mail *mail, const char **value_r)
{
	return mail_get_special(mail, MAIL_FETCH_GUID, value_r);
}

static int get_flags(struct mail *mail, const char **value_r)
{
	string_t *str = t_str_new(64);

	imap_write_flags(str, mail_get_flags(mail), mail_get_keywords(mail));
	*value_r = str_c(str);
	return 0;
}

static int get_preview(struct mail *mail, const char **value_r)
{
	const char *value;

	if (mail_get_special(mail, MAIL_FETCH_BODY_SNIPPET, &value) < 0)
		return -1;
	/* the first character says how the rest was made */
	*value_r = *value == '\0' ? "" : recall_utf8_line(value + 1, 1000);
	return 0;
}

static int
get_header(struct mail *mail, const char *name, const char **value_r)
{
	const char *const *values;
	string_t *str = t_str_new(128);

	if (mail_get_headers_utf8(mail, name, &values) < 0)
		return -1;
	for (; *values != NULL; values++) {
		if (str_len(str) > 0)
			str_append_c(str, '\n');
		str_append(str, recall_utf8_line(*values, UINT_MAX));
	}
	*value_r = str_c(str);
	return 0;
}

static int get_date_received(struct mail *mail, const char **value_r)
{
	time_t t;

	if (mail_get_received_date(mail, &t) < 0)
		return -1;
	*value_r = recall_listing_time(t);
	return 0;
}

static int get_date_saved(struct mail *mail, const char **value_r)
{
	time_t t;

	if (mail_get_save_date(mail, &t) < 0)
		return -1;
	*value_r = recall_listing_time(t);
	return 0;
}

static int get_date_sent(struct mail *mail, const char **value_r)
{
	time_t t;
	int timezone;

	if (mail_get_date(mail, &t, &timezone) < 0)
		return -1;
	*value_r = t == 0 ? "" : recall_listing_time(t);
	return 0;
}

static int get_size_physical(struct mail *mail, const char **value_r)
{
	uoff_t size;

	if (mail_get_physical_size(mail, &size) < 0)
		return -1;
	*value_r = dec2str(size);
	return 0;
}

static int get_size_virtual(struct mail *mail, const char **value_r)
{
	uoff_t size;

	if (mail_get_virtual_size(mail, &size) < 0)
		return -1;
	*value_r = dec2str(size);
	return 0;
}

static int open_hdr(struct mail *mail, struct istream **input_r)
{
	struct message_size hdr_size;
	struct istream *input;

	if (mail_get_hdr_stream(mail, &hdr_size, &input) < 0)
		return -1;
	*input_r = i_stream_create_limit(input, hdr_size.physical_size);
	return 0;
}

static int open_body(struct mail *mail, struct istream **input_r)
{
	struct message_size hdr_size;
	struct istream *input;

	if (mail_get_stream(mail, &hdr_size, NULL, &input) < 0)
		return -1;
	i_stream_skip(input, hdr_size.physical_size);
	i_stream_ref(input);
	*input_r = input;
	return 0;
}

static int open_text(struct mail *mail, struct istream **input_r)
{
	if (mail_get_stream(mail, NULL, NULL, input_r) < 0)
		return -1;
	i_stream_ref(*input_r);
	return 0;
}

#define FETCH_HEADER_PREFIX "hdr."

static const struct recall_fetch_field fetch_fields[] = {
	{ .name = "user",
	  .listing_offset = offsetof(struct recall_listing, username) },
	{ .name = "mailbox", .get = get_mailbox },
	{ .name = "mailbox-guid",
	  .listing_offset = offsetof(struct recall_listing, guid) },
	{ .name = "uid", .get = get_uid },
	{ .name = "guid", .wanted = MAIL_FETCH_GUID, .get = get_guid },
	{ .name = "flags", .wanted = MAIL_FETCH_FLAGS, .get = get_flags },
	{ .name = "hdr", .wanted = MAIL_FETCH_STREAM_HEADER, .open = open_hdr },
	{ .name = "body", .wanted = MAIL_FETCH_STREAM_BODY, .open = open_body },
	{ .name = "body.preview", .wanted = MAIL_FETCH_BODY_SNIPPET,
	  .get = get_preview },
	{ .name = "text", .wanted = MAIL_FETCH_STREAM_HEADER |
	  MAIL_FETCH_STREAM_BODY, .open = open_text },
	{ .name = "date.received", .wanted = MAIL_FETCH_RECEIVED_DATE,
	  .get = get_date_received },
	{ .name = "date.saved", .wanted = MAIL_FETCH_SAVE_DATE,
	  .get = get_date_saved },
	{ .name = "date.sent", .wanted = MAIL_FETCH_DATE,
	  .get = get_date_sent },
	{ .name = "size.physical", .wanted = MAIL_FETCH_PHYSICAL_SIZE,
	  .get = get_size_physical },
	{ .name = "size.virtual", .wanted = MAIL_FETCH_VIRTUAL_SIZE,
	  .get = get_size_virtual },
};

static bool fetch_header_name_is_valid(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == ':')
			return FALSE;
	}
	return *name != '\0';
}

static bool fetch_field_find(pool_t pool, const char *name,
			     struct recall_fetch_field *field_r)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(fetch_fields); i++) {
		if (strcmp(fetch_fields[i].name, name) == 0) {
			*field_r = fetch_fields[i];
			return TRUE;
		}
	}
	if (!str_begins_with(name, FETCH_HEADER_PREFIX) ||
	    !fetch_header_name_is_valid(name + strlen(FETCH_HEADER_PREFIX)))
		return FALSE;
	i_zero(field_r);
	field_r->name = p_strdup(pool, name);
	field_r->header = field_r->name + strlen(FETCH_HEADER_PREFIX);
	return TRUE;
}

static const char *fetch_fields_error(const char *what)
{
	string_t *str = t_str_new(256);
	unsigned int i;

	str_printfa(str, "%s: There are "FETCH_HEADER_PREFIX"<name>", what);
	for (i = 0; i < N_ELEMENTS(fetch_fields); i++)
		str_printfa(str, " %s", fetch_fields[i].name);
	return str_c(str);
}

static bool fetch_fields_have(const ARRAY_TYPE(recall_fetch_field) *fields,
			      const char *name)
{
	const struct recall_fetch_field *field;

	array_foreach(fields, field) {
		if (strcmp(field->name, name) == 0)
			return TRUE;
	}
	return FALSE;
}

int recall_fetch_fields_parse(pool_t pool, const char *str,
			      ARRAY_TYPE(recall_fetch_field) *fields,
			      const char **error_r)
{
	struct recall_fetch_field field;
	const char *const *names, *name;

	for (names = t_strsplit_spaces(str, " "); *names != NULL; names++) {
		name = t_str_lcase(*names);
		if (!fetch_field_find(pool, name, &field)) {
			*error_r = fetch_fields_error(t_strdup_printf(
				"Unknown field %s", str_sanitize(name, 80)));
			return -1;
		}
		if (!fetch_fields_have(fields, name))
			array_push_back(fields, &field);
	}
	if (array_is_empty(fields)) {
		*error_r = fetch_fields_error("No fields");
		return -1;
	}
	return 0;
}

/* As doveadm_print_istream(), but leaves characters whole. */
static int
fetch_print_istream(struct recall_rows *rows, struct istream *input)
{
	const unsigned char *data;
	size_t size, n, min_size = 1;
	int ret;

	do {
		ret = i_stream_read_bytes(input, &data, &size, min_size);
		n = ret > 0 ? recall_utf8_whole_size(data, size) : size;
		if (n > 0) {
			recall_rows_add_stream(rows, data, n);
			i_stream_skip(input, n);
			min_size = 1;
		} else {
			min_size = size + 1;
		}
	} while (ret > 0);
	recall_rows_add_stream(rows, "", 0);
	return input->stream_errno != 0 ? -1 : 0;
}

static int
fetch_get(const struct recall_fetch_field *field,
	  const struct recall_listing *listing, struct mail *mail,
	  const char **value_r)
{
	if (field->header != NULL)
		return get_header(mail, field->header, value_r);
	if (field->get != NULL)
		return field->get(mail, value_r);
	*value_r = *(const char *const *)CONST_PTR_OFFSET(listing,
						field->listing_offset);
	return 0;
}

static const char *fetch_mail_error(const struct recall_fetch_field *field,
				    struct mail *mail)
{
	return t_strdup_printf("Reading %s failed: %s", field->name,
		mailbox_get_last_internal_error(mail->box, NULL));
}

int recall_fetch_field_print(const struct recall_fetch_field *field,
			     const struct recall_listing *listing,
			     struct mail *mail, const char **error_r)
{
	struct istream *input;
	const char *value;
	int ret;

	if (field->open == NULL) {
		if (fetch_get(field, listing, mail, &value) < 0) {
			recall_rows_add(listing->rows, NULL);
			*error_r = fetch_mail_error(field, mail);
			return -1;
		}
		recall_rows_add(listing->rows, value);
		return 0;
	}

	if (field->open(mail, &input) < 0) {
		recall_rows_add(listing->rows, NULL);
		*error_r = fetch_mail_error(field, mail);
		return -1;
	}
	ret = fetch_print_istream(listing->rows, input);
	if (ret < 0) {
		*error_r = t_strdup_printf("Reading %s failed: %s",
			field->name, i_stream_get_error(input));
	}
	i_stream_unref(&input);
	return ret;
}
