#include "lib.h"
#include "base64.h"
#include "hex-binary.h"
#include "md5.h"
#include "message-address.h"
#include "message-date.h"
#include "message-header-encode.h"
#include "qp-encoder.h"
#include "smtp-address.h"
#include "str.h"
#include "unichar.h"
#include "recall-limits.h"
#include "recall-notice-template.h"
#include "recall-notice-render.h"

#include <ctype.h>
#include <time.h>

/* Most characters of a value in a notice. */
#define SUBJECT_MAX_CHARS 200
#define FROM_MAX_CHARS 200
#define DATE_MAX_CHARS 60
#define NAME_MAX_CHARS 100
/* RFC 5322, 2.1.1, without CRLF */
#define LINE_MAX_LEN 998
#define LINE_FOLD_LEN 76

enum char_class {
	CHAR_KEEP,
	CHAR_SPACE,
	CHAR_DROP,
	CHAR_REPLACE
};

static enum char_class classify(unichar_t chr)
{
	if (chr == ' ' || chr == '\t' || chr == '\r' || chr == '\n' ||
	    chr == 0x85 || chr == 0xa0 || chr == 0x2028 || chr == 0x2029)
		return CHAR_SPACE;
	if (chr < 0x20 || (chr >= 0x7f && chr < 0xa0))
		return CHAR_REPLACE;
	/* Embeddings, overrides and isolates reach beyond the value that
	   begins them. */
	if ((chr >= 0x202a && chr <= 0x202e) ||
	    (chr >= 0x2066 && chr <= 0x206f))
		return CHAR_REPLACE;
	/* Marks of direction and characters without any width: with them a
	   text can be made to look like another one. The joiners stay, as
	   scripts and emoji need them. */
	if (chr == 0xad || chr == 0x61c || chr == 0x180e ||
	    chr == 0x200b || chr == 0x200e || chr == 0x200f ||
	    (chr >= 0x2060 && chr <= 0x2065) || chr == 0xfeff ||
	    (chr >= 0xfff9 && chr <= 0xfffb) ||
	    (chr >= 0xe0000 && chr <= 0xe0fff))
		return CHAR_DROP;
	return CHAR_KEEP;
}

const char *recall_notice_clean(const char *text, unsigned int max_chars)
{
	const unsigned char *data = (const unsigned char *)text;
	size_t size = strlen(text), last_pos = 0;
	string_t *dest = t_str_new(I_MIN(size, max_chars * 4) + 8);
	unsigned int count = 0;
	bool space = FALSE;
	unichar_t chr;
	int len;

	while (size > 0) {
		enum char_class class = CHAR_REPLACE;

		len = uni_utf8_get_char_n(data, size, &chr);
		if (len <= 0)
			len = 1;
		else
			class = classify(chr);
		data += len;
		size -= len;

		if (class == CHAR_SPACE) {
			space = count > 0;
			continue;
		}
		if (class == CHAR_DROP)
			continue;
		/* of the last character that fits nothing is known until
		   another one follows */
		if (count + (space ? 1 : 0) >= max_chars) {
			str_truncate(dest, last_pos);
			str_append(dest, "\xe2\x80\xa6");
			break;
		}
		last_pos = str_len(dest);
		if (space) {
			str_append_c(dest, ' ');
			count++;
			space = FALSE;
		}
		if (class == CHAR_KEEP)
			str_append_data(dest, data - len, len);
		else
			str_append(dest, UNICODE_REPLACEMENT_CHAR_UTF8);
		count++;
	}
	return str_c(dest);
}

static bool is_printable_ascii(const char *text, bool allow_space)
{
	for (; *text != '\0'; text++) {
		unsigned char c = *text;

		if (c >= 0x7f || c < 0x20 || (c == ' ' && !allow_space))
			return FALSE;
	}
	return TRUE;
}

static unsigned int count_8bit(const char *text, size_t size)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		if ((unsigned char)text[i] >= 0x80)
			count++;
	}
	return count;
}

/* Takes over what Dovecot's header encoder folded with bare LFs. */
static void append_crlf(string_t *dest, const string_t *src)
{
	const unsigned char *data = str_data(src);
	size_t i;

	for (i = 0; i < str_len(src); i++) {
		if (data[i] == '\n')
			str_append_c(dest, '\r');
		str_append_c(dest, data[i]);
	}
}

/* Appends a header with free text that recall_notice_clean() has seen. */
static void
append_text_header(string_t *dest, const char *name, const char *text)
{
	size_t name_len = strlen(name) + 2, len = strlen(text);
	const unsigned char *data = (const unsigned char *)text;
	string_t *encoded;

	str_printfa(dest, "%s: ", name);
	if (is_printable_ascii(text, TRUE) && strstr(text, "=?") == NULL &&
	    name_len + len <= LINE_FOLD_LEN)
		str_append(dest, text);
	else {
		encoded = t_str_new(len * 2 + 64);
		if (count_8bit(text, len) > len / 4)
			message_header_encode_b(data, len, encoded, name_len);
		else
			message_header_encode_q(data, len, encoded, name_len);
		append_crlf(dest, encoded);
	}
	str_append(dest, "\r\n");
}

static int
parse_address(const char *text, const char **address_r)
{
	struct message_address *addr;
	struct smtp_address *smtp_addr;

	if (!is_printable_ascii(text, TRUE) ||
	    strlen(text) > LINE_MAX_LEN / 2)
		return -1;
	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)text, strlen(text),
				     2, 0);
	if (addr == NULL || addr->next != NULL || addr->invalid_syntax ||
	    addr->mailbox == NULL || *addr->mailbox == '\0' ||
	    addr->domain == NULL || *addr->domain == '\0' ||
	    smtp_address_create_from_msg(pool_datastack_create(), addr,
					 &smtp_addr) < 0)
		return -1;
	*address_r = smtp_address_encode(smtp_addr);
	return strlen(*address_r) <= RECALL_ADDRESS_MAX ? 0 : -1;
}

static void
append_from(string_t *dest, const char *address, const char *_name)
{
	const char *name = _name == NULL ? "" :
		recall_notice_clean(_name, NAME_MAX_CHARS);
	size_t len = strlen(name), pos = str_len(dest);
	string_t *encoded;

	str_append(dest, "From: ");
	if (len == 0)
		;
	else if (is_printable_ascii(name, TRUE) && strstr(name, "=?") == NULL) {
		str_append_c(dest, '"');
		for (; *name != '\0'; name++) {
			if (*name == '"' || *name == '\\')
				str_append_c(dest, '\\');
			str_append_c(dest, *name);
		}
		str_append_c(dest, '"');
	} else {
		/* not Q, which would have to be a narrower one here than in a
		   Subject (RFC 2047, 5) */
		encoded = t_str_new(len * 2 + 64);
		message_header_encode_b((const unsigned char *)name, len,
					encoded, strlen("From: "));
		append_crlf(dest, encoded);
	}
	if (len > 0) {
		const char *line = strrchr(str_c(dest) + pos, '\n');
		size_t line_len = strlen(line != NULL ? line + 1 :
					 str_c(dest) + pos);

		if (line_len + strlen(address) + 3 > LINE_FOLD_LEN)
			str_append(dest, "\r\n");
		str_append_c(dest, ' ');
	}
	str_printfa(dest, "<%s>\r\n", address);
}

static void
append_to(string_t *dest, const char *username, const char *hostname)
{
	struct smtp_address *addr;
	const char *address = NULL;

	if (is_printable_ascii(username, FALSE) &&
	    smtp_address_parse_username(pool_datastack_create(), username,
					&addr, NULL) == 0) {
		if (addr->domain == NULL)
			addr->domain = hostname;
		address = smtp_address_encode(addr);
	}
	if (address != NULL && strlen(address) <= RECALL_ADDRESS_MAX)
		str_printfa(dest, "To: <%s>\r\n", address);
	else
		str_append(dest, "To: undisclosed-recipients:;\r\n");
}

static void append_references(string_t *dest, const char *message_id)
{
	size_t len = strlen(message_id);
	const char *const names[] = { "In-Reply-To", "References" };
	unsigned int i;

	/* An id that can't stand in a header as it is would only be wrong in
	   any other form. */
	if (len == 0 || len + strlen(" <>") > LINE_MAX_LEN ||
	    !is_printable_ascii(message_id, FALSE) ||
	    strpbrk(message_id, "<>") != NULL)
		return;
	for (i = 0; i < N_ELEMENTS(names); i++) {
		bool fold = strlen(names[i]) + len + 4 > LINE_FOLD_LEN;

		str_printfa(dest, "%s:%s <%s>\r\n", names[i],
			    fold ? "\r\n" : "", message_id);
	}
}

static const char *format_date(const char *date)
{
	const char *clean = recall_notice_clean(date, DATE_MAX_CHARS);
	int tz;
	time_t timestamp;
	struct tm tm;

	/* Names of days and months would be English in every language. */
	if (!message_date_parse((const unsigned char *)clean, strlen(clean),
				&timestamp, &tz))
		return clean;
	timestamp += (time_t)tz * 60;
	if (gmtime_r(&timestamp, &tm) == NULL)
		return clean;
	return t_strdup_printf("%04d-%02d-%02d %02d:%02d (UTC%c%02d:%02d)",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			       tm.tm_hour, tm.tm_min, tz < 0 ? '-' : '+',
			       abs(tz) / 60, abs(tz) % 60);
}

static const char *
clean_or(const char *text, unsigned int max_chars, const char *missing)
{
	text = text == NULL ? "" : recall_notice_clean(text, max_chars);
	return *text != '\0' ? text : missing;
}

static void
get_values(const struct recall_notice *notice,
	   const struct recall_notice_template *tmpl, const char *username,
	   const char *values_r[RECALL_NOTICE_VAR_COUNT])
{
	values_r[RECALL_NOTICE_VAR_SUBJECT] =
		clean_or(notice->subject, SUBJECT_MAX_CHARS, tmpl->no_subject);
	values_r[RECALL_NOTICE_VAR_FROM] =
		clean_or(notice->from, FROM_MAX_CHARS, tmpl->unknown);
	values_r[RECALL_NOTICE_VAR_DATE] =
		clean_or(notice->date == NULL ? NULL :
			 format_date(notice->date), DATE_MAX_CHARS,
			 tmpl->unknown);
	values_r[RECALL_NOTICE_VAR_MAILBOX] =
		recall_notice_clean(username, RECALL_ADDRESS_MAX);
	values_r[RECALL_NOTICE_VAR_COPIES] =
		t_strdup_printf("%u", notice->copies);
	values_r[RECALL_NOTICE_VAR_REASON] =
		clean_or(notice->reason, RECALL_REASON_MAX, NULL);
}

static string_t *
render_text(const struct recall_notice_template *tmpl,
	    enum recall_notice_kind kind, const char *const *values)
{
	string_t *text = t_str_new(1024);
	const char *const *lines = t_strsplit(tmpl->body[kind], "\n");
	size_t pos;

	for (; *lines != NULL; lines++) {
		pos = str_len(text);
		/* the text ends with LF: what follows it is no line */
		if (lines[1] == NULL && **lines == '\0')
			break;
		if (!recall_notice_template_expand(text, *lines, values)) {
			str_truncate(text, pos);
			continue;
		}
		str_append_c(text, '\n');
	}
	return text;
}

static void append_base64(string_t *dest, const string_t *text)
{
	string_t *crlf_text = t_str_new(str_len(text) + 64);
	struct base64_encoder enc;

	append_crlf(crlf_text, text);
	base64_encode_init(&enc, &base64_scheme, BASE64_ENCODE_FLAG_CRLF,
			   LINE_FOLD_LEN);
	base64_encode_more(&enc, str_data(crlf_text), str_len(crlf_text), NULL,
			   dest);
	base64_encode_finish(&enc, dest);
	str_append(dest, "\r\n");
}

static void append_body(string_t *dest, const string_t *text)
{
	/* what takes less room (RFC 2045, 6.7, 6.8) */
	bool base64 = count_8bit((const char *)str_data(text), str_len(text)) >
		str_len(text) / 6;
	struct qp_encoder *qp;

	str_printfa(dest, "Content-Transfer-Encoding: %s\r\n\r\n",
		    base64 ? "base64" : "quoted-printable");
	if (base64) {
		append_base64(dest, text);
		return;
	}
	/* a space at the end of a line makes the encoder go over its limit by
	   two */
	qp = qp_encoder_init(dest, LINE_FOLD_LEN - 2, 0);
	qp_encoder_more(qp, str_data(text), str_len(text));
	qp_encoder_finish(qp);
	qp_encoder_deinit(&qp);
}

static bool is_hostname(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (!i_isalnum(*p) && *p != '-' && *p != '.')
			return FALSE;
	}
	return p != name && p - name < RECALL_ADDRESS_MAX;
}

static bool is_recall_id(const char *id)
{
	const char *p;

	for (p = id; *p != '\0'; p++) {
		if (!i_isalnum(*p) && *p != '-')
			return FALSE;
	}
	return p != id && p - id <= 64;
}

static const char *envelope_hostname(const struct recall_notice_envelope *env)
{
	return is_hostname(env->hostname) ? env->hostname : "localhost";
}

const char *
recall_notice_render_message_id(const struct recall_notice *notice,
				const struct recall_notice_envelope *env)
{
	unsigned char digest[MD5_RESULTLEN];
	const char *key = t_strdup_printf("%d %s", (int)notice->kind,
					  env->username);

	md5_get_digest(key, strlen(key), digest);
	/* each user's is another one, and 48 bits tell them apart well enough
	   within one recall */
	return t_strdup_printf("recall.%s.%s@%s", notice->recall_id,
			       binary_to_hex(digest, 6),
			       envelope_hostname(env));
}

int recall_notice_render(const struct recall_notice *notice,
			 const struct recall_notice_template *tmpl,
			 const struct recall_notice_envelope *env,
			 string_t *dest, const char **error_r)
{
	const char *values[RECALL_NOTICE_VAR_COUNT];
	const char *from_address;
	string_t *subject = t_str_new(256);

	if (parse_address(env->from_address, &from_address) < 0) {
		*error_r = t_strdup_printf("Not an address to send from: %s",
			recall_notice_clean(env->from_address, NAME_MAX_CHARS));
		return -1;
	}
	if (!is_recall_id(notice->recall_id)) {
		*error_r = t_strdup_printf("Not a recall id: %s",
			recall_notice_clean(notice->recall_id, NAME_MAX_CHARS));
		return -1;
	}

	get_values(notice, tmpl, env->username, values);
	(void)recall_notice_template_expand(subject,
					    tmpl->subject[notice->kind],
					    values);

	append_from(dest, from_address, env->from_name);
	append_to(dest, env->username, envelope_hostname(env));
	append_text_header(dest, "Subject",
			   recall_notice_clean(str_c(subject),
					       SUBJECT_MAX_CHARS));
	str_printfa(dest, "Date: %s\r\n", message_date_create(env->now));
	str_printfa(dest, "Message-ID: <%s>\r\n",
		    recall_notice_render_message_id(notice, env));
	append_references(dest, notice->message_id);
	str_append(dest, "Auto-Submitted: auto-generated\r\n");
	str_printfa(dest, "X-Dovecot-Recall-Id: %s\r\n", notice->recall_id);
	str_append(dest, "MIME-Version: 1.0\r\n"
		   "Content-Type: text/plain; charset=utf-8\r\n");
	str_printfa(dest, "Content-Language: %s\r\n", tmpl->lang);
	append_body(dest, render_text(tmpl, notice->kind, values));
	return 0;
}
