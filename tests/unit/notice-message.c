#include "lib.h"
#include "dovecot-compat.h"
#include "base64.h"
#include "buffer.h"
#include "hex-binary.h"
#include "message-header-decode.h"
#include "str.h"
#include "unichar.h"
#include "notice-message.h"

#include <CUnit/Basic.h>
#include <ctype.h>

#if RECALL_DOVECOT_24
#  define decode_base64(src, size, dest) base64_decode(src, size, dest)
#else
#  define decode_base64(src, size, dest) base64_decode(src, size, NULL, dest)
#endif

static const char *body_raw(const char *message)
{
	const char *body = strstr(message, "\r\n\r\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	return body + 4;
}

const char *header_raw(const char *message, const char *name)
{
	const char *end = body_raw(message) - 2, *line = message, *value = NULL;
	size_t name_len = strlen(name);

	while (line < end) {
		const char *eol = strstr(line, "\r\n");

		while (eol + 2 < end && (eol[2] == ' ' || eol[2] == '\t'))
			eol = strstr(eol + 2, "\r\n");
		if (strncasecmp(line, name, name_len) == 0 &&
		    line[name_len] == ':') {
			CU_ASSERT_PTR_NULL(value);
			value = t_strdup_until(line + name_len + 1, eol);
		}
		line = eol + 2;
	}
	if (value == NULL)
		return NULL;
	value = t_str_replace(value, '\r', '\n');
	value = t_strarray_join(t_strsplit(value, "\n"), "");
	for (; *value == ' '; value++) ;
	return value;
}

const char *header(const char *message, const char *name)
{
	const char *raw = header_raw(message, name);
	string_t *dest = t_str_new(256);

	if (raw == NULL)
		return NULL;
	message_header_decode_utf8((const unsigned char *)raw, strlen(raw),
				   dest, NULL);
	return str_c(dest);
}

static const char *qp_decode(const char *src)
{
	buffer_t *dest = t_buffer_create(1024);

	for (; *src != '\0'; src++) {
		if (*src != '=')
			buffer_append_c(dest, *src);
		else if (str_begins_with(src, "=\r\n"))
			src += 2;
		else {
			CU_ASSERT(i_isxdigit(src[1]) && i_isxdigit(src[2]));
			CU_ASSERT_FATAL(hex_to_binary(t_strndup(src + 1, 2),
						      dest) == 0);
			src += 2;
		}
	}
	return str_c(dest);
}

const char *body(const char *message)
{
	const char *cte = header_raw(message, "Content-Transfer-Encoding");
	const char *raw = body_raw(message), *text, *p;
	string_t *dest = t_str_new(1024);

	CU_ASSERT_PTR_NOT_NULL_FATAL(cte);
	if (strcmp(cte, "base64") == 0) {
		buffer_t *buf = t_buffer_create(1024);

		CU_ASSERT(decode_base64(raw, strlen(raw), buf) >= 0);
		text = str_c(buf);
	} else {
		CU_ASSERT_STRING_EQUAL(cte, "quoted-printable");
		text = qp_decode(raw);
	}
	for (p = text; *p != '\0'; p++) {
		if (*p == '\r') {
			CU_ASSERT_EQUAL(p[1], '\n');
			continue;
		}
		if (*p == '\n')
			CU_ASSERT(p > text && p[-1] == '\r');
		str_append_c(dest, *p);
	}
	CU_ASSERT(uni_utf8_str_is_valid(str_c(dest)));
	return str_c(dest);
}

void check_message(const char *message)
{
	static const char *const names[] = {
		"From", "To", "Subject", "Date", "Message-ID",
		"Auto-Submitted", "X-Dovecot-Recall-Id", "MIME-Version",
		"Content-Type", "Content-Language", "Content-Transfer-Encoding"
	};
	/* those above, In-Reply-To, References */
	unsigned int i, count = 0, max_count = N_ELEMENTS(names) + 2;
	const char *line = message, *end = body_raw(message), *eol, *p;

	for (p = message; *p != '\0'; p++) {
		CU_ASSERT((*p >= 0x20 && *p < 0x7f) || *p == '\t' ||
			  (*p == '\r' && p[1] == '\n') ||
			  (*p == '\n' && p > message && p[-1] == '\r'));
	}
	for (; *line != '\0'; line = eol + 2) {
		eol = strstr(line, "\r\n");
		CU_ASSERT_PTR_NOT_NULL_FATAL(eol);
		CU_ASSERT(eol - line <= 998);
		if (line >= end) {
			CU_ASSERT(eol - line <= 76);
			if (eol > line)
				CU_ASSERT(eol[-1] != ' ' && eol[-1] != '\t');
		} else if (*line != ' ' && *line != '\t' && *line != '\r')
			count++;
		else if (*line != '\r') {
			/* no line of white space only */
			CU_ASSERT(strspn(line, " \t") < (size_t)(eol - line));
		}
	}
	for (i = 0; i < N_ELEMENTS(names); i++)
		CU_ASSERT_PTR_NOT_NULL(header_raw(message, names[i]));
	CU_ASSERT(count <= max_count);
	CU_ASSERT(uni_utf8_str_is_valid(header(message, "Subject")));
	CU_ASSERT(uni_utf8_str_is_valid(header(message, "From")));
	(void)body(message);
}

bool contains(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}
