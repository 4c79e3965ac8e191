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
#include "recall-id.h"
#include "recall-notice-text.h"
#include "recall-notice-message.h"

#include <ctype.h>

/* RFC 5322, 2.1.1, without CRLF */
#define LINE_MAX_LEN 998
#define LINE_FOLD_LEN 76

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

bool recall_notice_from_is_valid(const char *text)
{
	const char *address;

	return parse_address(text, &address) == 0;
}

static void
append_from(string_t *dest, const char *address, const char *_name)
{
	const char *name = _name == NULL ? "" :
		recall_notice_clean(_name, RECALL_NOTICE_NAME_MAX);
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

static bool is_hostname(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (!i_isalnum(*p) && *p != '-' && *p != '.')
			return FALSE;
	}
	return p != name && p - name < RECALL_ADDRESS_MAX;
}

static const char *envelope_hostname(const struct recall_notice_envelope *env)
{
	return is_hostname(env->hostname) ? env->hostname : "localhost";
}

const char *
recall_notice_address(const char *username,
		      const struct recall_notice_envelope *env)
{
	struct smtp_address *addr;
	const char *address;

	if (!is_printable_ascii(username, FALSE) ||
	    smtp_address_parse_username(pool_datastack_create(), username,
					&addr, NULL) < 0)
		return NULL;
	if (addr->domain == NULL)
		addr->domain = envelope_hostname(env);
	address = smtp_address_encode(addr);
	return strlen(address) <= RECALL_ADDRESS_MAX ? address : NULL;
}

static void append_to(string_t *dest, const struct recall_notice_envelope *env)
{
	const char *address = recall_notice_address(env->username, env);

	if (address != NULL)
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
	    strpbrk(message_id, "<> ") != NULL)
		return;
	for (i = 0; i < N_ELEMENTS(names); i++) {
		bool fold = strlen(names[i]) + len + 4 > LINE_FOLD_LEN;

		str_printfa(dest, "%s:%s <%s>\r\n", names[i],
			    fold ? "\r\n" : "", message_id);
	}
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

const char *
recall_notice_message_id(const char *recall_id, const char *key,
			 const struct recall_notice_envelope *env)
{
	unsigned char digest[MD5_RESULTLEN];

	md5_get_digest(key, strlen(key), digest);
	/* each user's is another one, and 48 bits distinguish them well enough
	   within one recall */
	return t_strdup_printf("recall.%s.%s@%s", recall_id,
			       binary_to_hex(digest, 6),
			       envelope_hostname(env));
}

int recall_notice_message_append(string_t *dest,
				 const struct recall_notice_message *msg,
				 const struct recall_notice_envelope *env,
				 const char **error_r)
{
	const char *from_address;

	if (parse_address(env->from_address, &from_address) < 0) {
		*error_r = t_strdup_printf("Not an address to send from: %s",
			recall_notice_clean(env->from_address,
					    RECALL_NOTICE_NAME_MAX));
		return -1;
	}
	if (!recall_id_is_valid(msg->recall_id)) {
		*error_r = t_strdup_printf("Not a recall id: %s",
			recall_notice_clean(msg->recall_id,
					    RECALL_NOTICE_NAME_MAX));
		return -1;
	}

	append_from(dest, from_address, env->from_name);
	append_to(dest, env);
	append_text_header(dest, "Subject",
			   recall_notice_clean(msg->subject,
					       RECALL_NOTICE_SUBJECT_MAX));
	str_printfa(dest, "Date: %s\r\n", message_date_create(env->now));
	str_printfa(dest, "Message-ID: <%s>\r\n", msg->message_id);
	if (msg->refers_to != NULL)
		append_references(dest, msg->refers_to);
	str_append(dest, "Auto-Submitted: auto-generated\r\n");
	str_printfa(dest, RECALL_NOTICE_HEADER": %s\r\n", msg->recall_id);
	str_append(dest, "MIME-Version: 1.0\r\n"
		   "Content-Type: text/plain; charset=utf-8\r\n");
	str_printfa(dest, "Content-Language: %s\r\n", msg->lang);
	append_body(dest, msg->text);
	return 0;
}
