#include "lib.h"
#include "base64.h"
#include "buffer.h"
#include "hex-binary.h"
#include "message-header-decode.h"
#include "mkdir-parents.h"
#include "str.h"
#include "unichar.h"
#include "unlink-directory.h"
#include "write-full.h"
#include "recall-notice-render.h"
#include "recall-notice-template.h"

#include <CUnit/Basic.h>
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECALL_ID "0123456789abcdef0123456789abcdef"

static const char *const langs[] = {
	"en-US", "ru-RU", "es-PA", "fr-FR", "it-IT", "pt-BR", "ba-RU", "tt-RU"
};

static const struct recall_notice notice_default = {
	.kind = RECALL_NOTICE_KIND_EXPUNGED,
	.message_id = "recalled@sender.example",
	.recall_id = RECALL_ID,
	.subject = "Quarterly report",
	.from = "Alice <alice@sender.example>",
	.date = "Tue, 24 Nov 2026 13:34:42 +0330",
	.copies = 3,
};

static const struct recall_notice_envelope env_default = {
	.from_address = "system@example.com",
	.from_name = "Mail System",
	.username = "bob@example.com",
	.hostname = "node1.example.com",
	.now = 1795527282,
};

static const char text_minimal[] =
	"Subject-expunged: E %{subject}\n"
	"Subject-read: R %{subject}\n"
	"No-subject: none\n"
	"Unknown: nobody\n"
	"[expunged]\n"
	"e %{subject}|%{from}|%{date}|%{mailbox}|%{copies}\n"
	"100%% or 5% of %%{subject}\n"
	"why: %{reason}\n"
	"\n"
	"end  \n"
	"\n"
	"[read]\n"
	"r\n";

/* A directory of template files that is gone after the test. */
static const char *scratch_dir;

static const char *scratch_new(void)
{
	char dir[] = "/tmp/recall-notice-XXXXXX";

	if (mkdtemp(dir) == NULL)
		i_fatal("mkdtemp(%s) failed: %m", dir);
	scratch_dir = t_strdup(dir);
	return scratch_dir;
}

static void scratch_free(void)
{
	const char *error;

	if (unlink_directory(scratch_dir, UNLINK_DIRECTORY_FLAG_RMDIR,
			     &error) < 0)
		i_fatal("unlink_directory(%s) failed: %s", scratch_dir, error);
}

static void scratch_write(const char *name, const void *data, size_t size)
{
	const char *path = t_strconcat(scratch_dir, "/", name, NULL);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd == -1 || write_full(fd, data, size) < 0 || close(fd) < 0)
		i_fatal("writing %s failed: %m", path);
}

static void scratch_write_str(const char *name, const char *text)
{
	scratch_write(name, text, strlen(text));
}

static const struct recall_notice_template *
load(const char *dir, const char *lang)
{
	const struct recall_notice_template *tmpl = NULL;
	const char *error = NULL;

	if (recall_notice_template_load(pool_datastack_create(), dir, lang,
					&tmpl, &error) < 0)
		i_fatal("%s: %s", lang, error);
	return tmpl;
}

static const char *load_error(const char *dir, const char *lang)
{
	const struct recall_notice_template *tmpl;
	const char *error = NULL;

	if (recall_notice_template_load(pool_datastack_create(), dir, lang,
					&tmpl, &error) == 0)
		return "(loaded)";
	return error;
}

/* Loads a template of this text, and returns what's wrong with it. */
static const char *text_error(const char *text)
{
	const char *error;

	scratch_new();
	scratch_write_str("en-US.txt", text);
	error = load_error(scratch_dir, "en-US");
	scratch_free();
	return error;
}

static const struct recall_notice_template *load_text(const char *text)
{
	const struct recall_notice_template *tmpl;

	scratch_new();
	scratch_write_str("en-US.txt", text);
	tmpl = load(scratch_dir, "en-US");
	scratch_free();
	return tmpl;
}

static const char *
render(const struct recall_notice *notice,
       const struct recall_notice_template *tmpl,
       const struct recall_notice_envelope *env)
{
	string_t *dest = t_str_new(4096);
	const char *error;

	if (recall_notice_render(notice, tmpl, env, dest, &error) < 0)
		i_fatal("render: %s", error);
	CU_ASSERT_EQUAL(strlen(str_c(dest)), str_len(dest));
	return str_c(dest);
}

static const char *
render_error(const struct recall_notice *notice,
	     const struct recall_notice_envelope *env)
{
	string_t *dest = t_str_new(4096);
	const char *error = NULL;

	if (recall_notice_render(notice, load(NOTICES_DIR, "en-US"), env,
				 dest, &error) == 0)
		return "(rendered)";
	return error;
}

/* A message taken apart, without any of the code that put it together. */

static const char *body_raw(const char *message)
{
	const char *body = strstr(message, "\r\n\r\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	return body + 4;
}

/* Returns the unfolded raw value, NULL if there is none; there must not be
   more than one. */
static const char *header_raw(const char *message, const char *name)
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

static const char *header(const char *message, const char *name)
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
		else if (str_begins(src, "=\r\n"))
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

/* The body decoded, with LFs. */
static const char *body(const char *message)
{
	const char *cte = header_raw(message, "Content-Transfer-Encoding");
	const char *raw = body_raw(message), *text, *p;
	string_t *dest = t_str_new(1024);

	CU_ASSERT_PTR_NOT_NULL_FATAL(cte);
	if (strcmp(cte, "base64") == 0) {
		buffer_t *buf = t_buffer_create(1024);

		CU_ASSERT(base64_decode(raw, strlen(raw), NULL, buf) >= 0);
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

/* What holds for every notice, whatever is in it. */
static void check_message(const char *message)
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

static bool contains(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static void test_languages(void)
{
	struct recall_notice notice = notice_default;
	const char *message, *texts[N_ELEMENTS(langs)][2];
	unsigned int i, j;
	int kind;

	for (i = 0; i < N_ELEMENTS(langs); i++) {
		const struct recall_notice_template *tmpl =
			load(NOTICES_DIR, langs[i]);

		CU_ASSERT_STRING_EQUAL(tmpl->lang, langs[i]);
		for (kind = 0; kind < RECALL_NOTICE_KIND_COUNT; kind++) {
			notice.kind = kind;
			message = render(&notice, tmpl, &env_default);
			check_message(message);
			CU_ASSERT_STRING_EQUAL(
				header_raw(message, "Content-Language"),
				langs[i]);
			CU_ASSERT(contains(header(message, "Subject"),
					   "Quarterly report"));
			texts[i][kind] = body(message);
			CU_ASSERT(contains(texts[i][kind],
					   " Quarterly report\n"));
			CU_ASSERT(contains(texts[i][kind],
				" Alice <alice@sender.example>\n"));
			CU_ASSERT(contains(texts[i][kind],
				" 2026-11-24 13:34 (UTC+03:30)\n"));
			CU_ASSERT(contains(texts[i][kind], "bob@example.com"));
			CU_ASSERT(!contains(texts[i][kind], "%"));
			CU_ASSERT(!contains(texts[i][kind], "\n\n\n"));
		}
		CU_ASSERT_STRING_NOT_EQUAL(texts[i][0], texts[i][1]);
		for (j = 0; j < i; j++) {
			CU_ASSERT_STRING_NOT_EQUAL(texts[i][0], texts[j][0]);
			CU_ASSERT_STRING_NOT_EQUAL(texts[i][1], texts[j][1]);
		}
	}
}

static void test_headers(void)
{
	const char *message = render(&notice_default,
				     load(NOTICES_DIR, "en-US"), &env_default);
	const char *id = header_raw(message, "Message-ID"), *other;

	CU_ASSERT_STRING_EQUAL(header_raw(message, "From"),
			       "\"Mail System\" <system@example.com>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "To"), "<bob@example.com>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Subject"),
			       "Message recalled: Quarterly report");
	CU_ASSERT(contains(header_raw(message, "Date"), " Nov 2026 "));
	CU_ASSERT_STRING_EQUAL(header_raw(message, "In-Reply-To"),
			       "<recalled@sender.example>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "References"),
			       "<recalled@sender.example>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Auto-Submitted"),
			       "auto-generated");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "X-Dovecot-Recall-Id"),
			       RECALL_ID);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "MIME-Version"), "1.0");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Type"),
			       "text/plain; charset=utf-8");
	CU_ASSERT(*id == '<' && contains(id, "@node1.example.com>"));

	message = render(&notice_default, load(NOTICES_DIR, "ru-RU"),
			 &env_default);
	other = header_raw(message, "Message-ID");
	CU_ASSERT_STRING_NOT_EQUAL(id, other);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Transfer-Encoding"),
			       "base64");
	message = render(&notice_default, load(NOTICES_DIR, "fr-FR"),
			 &env_default);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Transfer-Encoding"),
			       "quoted-printable");
}

static void test_placeholders(void)
{
	const struct recall_notice_template *tmpl = load_text(text_minimal);
	struct recall_notice notice = notice_default;
	struct recall_notice_envelope env = env_default;
	const char *message;

	message = render(&notice, tmpl, &env);
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"),
			       "E Quarterly report");
	CU_ASSERT_STRING_EQUAL(body(message),
		"e Quarterly report|Alice <alice@sender.example>|"
		"2026-11-24 13:34 (UTC+03:30)|bob@example.com|3\n"
		"100% or 5% of %{subject}\n"
		"\n"
		"end\n");

	notice.reason = "sent too early";
	CU_ASSERT(contains(body(render(&notice, tmpl, &env)),
			   "\nwhy: sent too early\n"));

	notice.subject = NULL;
	notice.from = NULL;
	notice.date = NULL;
	notice.reason = " \t";
	message = render(&notice, tmpl, &env);
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"), "E none");
	CU_ASSERT(str_begins(body(message),
			     "e none|nobody|nobody|bob@example.com|3\n"));
	CU_ASSERT(!contains(body(message), "why:"));

	/* what a value holds is not expanded once more */
	notice.subject = "%{from} %% [read]";
	notice.date = "yesterday";
	notice.kind = RECALL_NOTICE_KIND_EXPUNGED;
	CU_ASSERT(str_begins(body(render(&notice, tmpl, &env)),
			     "e %{from} %% [read]|nobody|yesterday|"));

	notice.kind = RECALL_NOTICE_KIND_READ;
	message = render(&notice, tmpl, &env);
	CU_ASSERT_STRING_EQUAL(body(message), "r\n");
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"),
			       "R %{from} %% [read]");
}

static void test_injection(void)
{
	static const char *const values[] = {
		"x\r\nBcc: victim@example.com\r\n\r\nbody",
		"x\nBcc: victim@example.com",
		"x\rBcc: victim@example.com",
		"x\r\n Bcc: victim@example.com",
		"x\xe2\x80\xa8" "Bcc: victim@example.com",
		"x\xc2\x85" "Bcc: victim@example.com",
		"=?utf-8?q?x=0D=0ABcc:_victim=40example.com?=",
		"x\x1b[2J\x07\x08",
		"\xff\xfe\xd0 broken \xed\xa0\x80 \xf4\x90\x80\x80",
		"\r\n", "", " ", "\t\t",
		"a\xe2\x80\xae" "b\xe2\x81\xa6" "c",
	};
	unsigned int i, j;

	for (i = 0; i < N_ELEMENTS(langs); i++) {
		const struct recall_notice_template *tmpl =
			load(NOTICES_DIR, langs[i]);

		for (j = 0; j < N_ELEMENTS(values); j++) {
			struct recall_notice notice = notice_default;
			struct recall_notice_envelope env = env_default;
			const char *message, *text;

			notice.subject = values[j];
			notice.from = values[j];
			notice.date = values[j];
			notice.reason = values[j];
			env.from_name = values[j];
			env.username = values[j];
			message = render(&notice, tmpl, &env);
			check_message(message);
			CU_ASSERT_PTR_NULL(header_raw(message, "Bcc"));
			CU_ASSERT_PTR_NOT_NULL(header_raw(message,
							  "In-Reply-To"));
			text = body(message);
			CU_ASSERT(!contains(text, "\nBcc"));
			CU_ASSERT(!contains(text, "\x1b"));
			CU_ASSERT(!contains(text, "\xe2\x80\xae"));
			CU_ASSERT(!contains(text, "\xe2\x81\xa6"));
		}
	}
}

static void test_message_id(void)
{
	const struct recall_notice_template *tmpl = load(NOTICES_DIR, "en-US");
	struct recall_notice notice = notice_default;
	string_t *id = t_str_new(1000);
	const char *message;
	unsigned int i;
	static const char *const unfit[] = {
		"", "a b@c", "a>\r\nBcc: x@y", "a\x7f@b", "\xd0\xb0@b", "a<b@c"
	};

	for (i = 0; i < 995; i++)
		str_append_c(id, 'a');
	notice.message_id = str_c(id);
	message = render(&notice, tmpl, &env_default);
	check_message(message);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "In-Reply-To"),
			       t_strdup_printf("<%s>", str_c(id)));
	CU_ASSERT_STRING_EQUAL(header_raw(message, "References"),
			       t_strdup_printf("<%s>", str_c(id)));

	str_append_c(id, 'a');
	notice.message_id = str_c(id);
	message = render(&notice, tmpl, &env_default);
	check_message(message);
	CU_ASSERT_PTR_NULL(header_raw(message, "In-Reply-To"));

	for (i = 0; i < N_ELEMENTS(unfit); i++) {
		notice.message_id = unfit[i];
		message = render(&notice, tmpl, &env_default);
		check_message(message);
		CU_ASSERT_PTR_NULL(header_raw(message, "In-Reply-To"));
		CU_ASSERT_PTR_NULL(header_raw(message, "References"));
		CU_ASSERT_PTR_NULL(header_raw(message, "Bcc"));
	}
}

static void test_subjects(void)
{
	static const char *const chars[] = {
		"a", "a ", "=", "\xd1\x8f", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80",
		"=?", "a\xc3\xa9"
	};
	const struct recall_notice_template *tmpl = load_text(text_minimal);
	struct recall_notice notice = notice_default;
	unsigned int i, len;

	for (i = 0; i < N_ELEMENTS(chars); i++) {
		string_t *subject = t_str_new(4096);

		for (len = 0; len < 120; len++) T_BEGIN {
			const char *message, *expected;

			str_append(subject, chars[i]);
			notice.subject = str_c(subject);
			message = render(&notice, tmpl, &env_default);
			check_message(message);
			expected = t_strconcat("E ", str_c(subject), NULL);
			if (uni_utf8_strlen(expected) <= 200 &&
			    chars[i][1] != ' ') {
				CU_ASSERT_STRING_EQUAL(
					header(message, "Subject"), expected);
			}
		} T_END;
		while (str_len(subject) < 100000)
			str_append(subject, chars[i]);
		notice.subject = str_c(subject);
		check_message(render(&notice, tmpl, &env_default));
		CU_ASSERT(strlen(render(&notice, tmpl, &env_default)) < 8192);
	}
}

static void test_names(void)
{
	static const char *const names[] = {
		"Mail", "Mail \"System\" \\ <x@y>", "a, b; c: (d)", "=?utf-8?q?x?=",
		"\xd0\x9f\xd0\xbe\xd1\x87\xd1\x82\xd0\xbe\xd0\xb2\xd0\xb0\xd1\x8f "
		"\xd1\x81\xd0\xb8\xd1\x81\xd1\x82\xd0\xb5\xd0\xbc\xd0\xb0 "
		"\xd0\xbf\xd1\x80\xd0\xb5\xd0\xb4\xd0\xbf\xd1\x80\xd0\xb8\xd1\x8f",
		"J\xc3\xb6rg, \"Post\"",
	};
	const struct recall_notice_template *tmpl = load(NOTICES_DIR, "en-US");
	struct recall_notice_envelope env = env_default;
	const char *message, *from;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		env.from_name = names[i];
		message = render(&notice_default, tmpl, &env);
		check_message(message);
		from = header(message, "From");
		CU_ASSERT(contains(from, " <system@example.com>"));
		if (*from != '"') {
			CU_ASSERT_STRING_EQUAL(from, t_strconcat(names[i],
				" <system@example.com>", NULL));
			/* an encoded word must not be quoted, nor anything
			   besides it be bare */
			CU_ASSERT(str_begins(header_raw(message, "From"),
					     "=?utf-8?b?"));
		}
	}
	env.from_name = "a \"b\" \\c";
	CU_ASSERT_STRING_EQUAL(
		header_raw(render(&notice_default, tmpl, &env), "From"),
		"\"a \\\"b\\\" \\\\c\" <system@example.com>");
	env.from_name = NULL;
	CU_ASSERT_STRING_EQUAL(
		header_raw(render(&notice_default, tmpl, &env), "From"),
		"<system@example.com>");
}

static void test_addresses(void)
{
	static const struct {
		const char *username, *to;
	} users[] = {
		{ "bob@example.com", "<bob@example.com>" },
		{ "bob", "<bob@node1.example.com>" },
		{ "b ob@example.com", "undisclosed-recipients:;" },
		{ "\xd0\xb1@example.com", "undisclosed-recipients:;" },
		{ "a@b>\r\nBcc: c@d", "undisclosed-recipients:;" },
		{ "", "undisclosed-recipients:;" },
	};
	static const char *const wrong[] = {
		"", "system", "@example.com", "a@b, c@d", "a@b\r\nBcc: c@d",
		"\xd0\xb1@example.com", "group: a@b;", "a b",
	};
	const struct recall_notice_template *tmpl = load(NOTICES_DIR, "en-US");
	struct recall_notice_envelope env = env_default;
	struct recall_notice notice = notice_default;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(users); i++) {
		env.username = users[i].username;
		CU_ASSERT_STRING_EQUAL(
			header_raw(render(&notice, tmpl, &env), "To"),
			users[i].to);
	}
	env = env_default;
	for (i = 0; i < N_ELEMENTS(wrong); i++) {
		env.from_address = wrong[i];
		CU_ASSERT(contains(render_error(&notice, &env),
				   "Not an address to send from"));
	}
	env = env_default;
	env.hostname = "bad\r\nhost";
	CU_ASSERT(contains(header_raw(render(&notice, tmpl, &env),
				      "Message-ID"), "@localhost>"));
	env = env_default;
	notice.recall_id = "x\r\nBcc: c@d";
	CU_ASSERT(contains(render_error(&notice, &env), "Not a recall id"));
	notice.recall_id = "";
	CU_ASSERT(contains(render_error(&notice, &env), "Not a recall id"));
}

static void test_clean(void)
{
	static const struct {
		const char *text;
		unsigned int max;
		const char *clean;
	} tests[] = {
		{ "", 5, "" },
		{ "abc", 3, "abc" },
		{ "abcd", 3, "ab\xe2\x80\xa6" },
		{ "abc  ", 3, "abc" },
		{ "abc  d", 3, "ab\xe2\x80\xa6" },
		{ "  a \t\r\n b  ", 9, "a b" },
		{ "a\xc2\xa0" "b", 9, "a b" },
		{ "a\x01" "b\x7f", 9, "a\xef\xbf\xbd" "b\xef\xbf\xbd" },
		{ "a\xc2\x9b" "b", 9, "a\xef\xbf\xbd" "b" },
		{ "a\xe2\x80\xae" "b", 9, "a\xef\xbf\xbd" "b" },
		{ "a\xe2\x80\x8f" "b", 9, "ab" },
		{ "a\xe2\x80\x8d" "b", 9, "a\xe2\x80\x8d" "b" },
		{ "a\xff" "b\xd0", 9, "a\xef\xbf\xbd" "b\xef\xbf\xbd" },
		{ "\xd1\x8f\xd1\x8f\xd1\x8f", 2, "\xd1\x8f\xe2\x80\xa6" },
		{ "a b", 1, "\xe2\x80\xa6" },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(tests); i++) {
		CU_ASSERT_STRING_EQUAL(
			recall_notice_clean(tests[i].text, tests[i].max),
			tests[i].clean);
	}
}

static void test_language_tags(void)
{
	static const struct {
		const char *lang, *norm;
	} tests[] = {
		{ "ru-RU", "ru-RU" }, { "ru_ru", "ru-RU" }, { "RU", "ru" },
		{ "zh-hant-tw", "zh-Hant-TW" }, { "es-419", "es-419" },
		{ "tt", "tt" },
	};
	static const char *const wrong[] = {
		"", "-", "ru-", "-RU", "ru--RU", "..", "../en-US", "ru/RU",
		"/etc/passwd", "ru-RU.UTF-8", "ru RU", "ru-RU\n", "r", "1a",
		"ru-RU/../../x", "\xd1\x80\xd1\x83", "abcdefghi",
		"ru-RU-RU-RU-RU-RU-RU-RU-RU-RU-RU-RU-RU"
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(tests); i++) {
		const char *norm = recall_notice_lang_normalize(tests[i].lang);

		CU_ASSERT_PTR_NOT_NULL_FATAL(norm);
		CU_ASSERT_STRING_EQUAL(norm, tests[i].norm);
	}
	for (i = 0; i < N_ELEMENTS(wrong); i++) {
		CU_ASSERT_PTR_NULL(recall_notice_lang_normalize(wrong[i]));
		CU_ASSERT_STRING_EQUAL(load(NOTICES_DIR, wrong[i])->lang,
				       "en-US");
	}
}

static void test_fallback(void)
{
	CU_ASSERT_STRING_EQUAL(load(NOTICES_DIR, "ru-KZ")->lang, "ru-RU");
	CU_ASSERT_STRING_EQUAL(load(NOTICES_DIR, "es")->lang, "es-PA");
	CU_ASSERT_STRING_EQUAL(load(NOTICES_DIR, "pt_pt")->lang, "pt-BR");
	CU_ASSERT_STRING_EQUAL(load(NOTICES_DIR, "de-DE")->lang, "en-US");

	scratch_new();
	CU_ASSERT(contains(load_error(scratch_dir, "ru-RU"), "/en-US.txt"));
	scratch_write_str("ru-UA.txt", text_minimal);
	scratch_write_str("ru-KZ.txt", text_minimal);
	scratch_write_str("ru-bad.txt~", text_minimal);
	scratch_write_str("rue-UA.txt", text_minimal);
	CU_ASSERT_STRING_EQUAL(load(scratch_dir, "ru-RU")->lang, "ru-KZ");
	CU_ASSERT_STRING_EQUAL(load(scratch_dir, "ru-UA")->lang, "ru-UA");
	CU_ASSERT(contains(load_error(scratch_dir, "en-GB"), "/en-US.txt"));
	scratch_write_str("ru.txt", text_minimal);
	CU_ASSERT_STRING_EQUAL(load(scratch_dir, "ru-RU")->lang, "ru");
	/* a broken file is not passed over */
	scratch_write_str("ru-RU.txt", "nonsense");
	CU_ASSERT(contains(load_error(scratch_dir, "ru-RU"), "/ru-RU.txt"));
	scratch_free();

	CU_ASSERT(contains(load_error(scratch_dir, "en-US"), scratch_dir));
}

static void test_unreadable(void)
{
	string_t *large = t_str_new(70 * 1024);

	scratch_new();
	if (mkdir(t_strconcat(scratch_dir, "/en-US.txt", NULL), 0700) < 0)
		i_fatal("mkdir() failed: %m");
	CU_ASSERT(contains(load_error(scratch_dir, "en-US"), "/en-US.txt"));
	scratch_free();

	scratch_new();
	if (mkfifo(t_strconcat(scratch_dir, "/en-US.txt", NULL), 0600) < 0)
		i_fatal("mkfifo() failed: %m");
	CU_ASSERT(contains(load_error(scratch_dir, "en-US"),
			   "Not a regular file"));
	scratch_free();

	scratch_new();
	str_append(large, text_minimal);
	while (str_len(large) <= 64 * 1024)
		str_append(large, "more\n");
	scratch_write("en-US.txt", str_data(large), str_len(large));
	CU_ASSERT(contains(load_error(scratch_dir, "en-US"), "Larger"));
	scratch_write("en-US.txt", text_minimal, sizeof(text_minimal));
	CU_ASSERT(contains(load_error(scratch_dir, "en-US"), "UTF-8"));
	scratch_free();
}

static const char *minimal_with(const char *line)
{
	return t_strconcat(line, "\n", text_minimal, NULL);
}

static void test_format_errors(void)
{
	static const struct {
		const char *line, *error;
	} tests[] = {
		{ "Subject: x", "line 1: Unknown header: Subject" },
		{ "nonsense", "line 1: Expected" },
		{ "Unknown: x", "line 5: Header given twice: Unknown" },
		{ "[other]", "line 1: Unknown section: [other]" },
		{ "[read]\nx\n[read]\n", "line 3: Section given twice" },
		{ "Unknown: %{subject}", "can't have placeholders" },
		{ "Subject-read: %{body}",
		  "line 1: Unknown placeholder: %{body}" },
		{ "# %{subject", "line 1: Unknown placeholder: %{subject" },
		{ "# \x01", "line 1: Control character" },
		{ "# \xff", "UTF-8" },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(tests); i++) {
		const char *error = text_error(minimal_with(tests[i].line));

		CU_ASSERT(contains(error, tests[i].error));
		CU_ASSERT(contains(error, "/en-US.txt: "));
	}
	CU_ASSERT(contains(text_error(""), "Subject-expunged: is missing"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "[expunged]\nx\n"),
			   "[read] is missing"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read:\n"
				      "[expunged]\nx\n[read]\nx\n"),
			   "Subject-read: is missing or empty"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "[expunged]\n\n[read]\nx\n"),
			   "[expunged] is missing or empty"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "[expunged]\nx\n[read]\nx\n"),
			   "No-subject: is missing"));
}

static void test_format_variants(void)
{
	const struct recall_notice_template *tmpl;
	string_t *crlf = t_str_new(1024);
	const char *p;

	/* as an editor on Windows would leave it */
	str_append(crlf, "\xef\xbb\xbf");
	for (p = text_minimal; *p != '\0'; p++) {
		if (*p == '\n')
			str_append_c(crlf, '\r');
		str_append_c(crlf, *p);
	}
	tmpl = load_text(str_c(crlf));
	CU_ASSERT_STRING_EQUAL(tmpl->subject[0], "E %{subject}");
	CU_ASSERT_STRING_EQUAL(tmpl->body[1], "r\n");
	CU_ASSERT_STRING_EQUAL(tmpl->body[0],
			       load_text(text_minimal)->body[0]);
	/* no LF at the end */
	tmpl = load_text(t_strndup(text_minimal, strlen(text_minimal) - 1));
	CU_ASSERT_STRING_EQUAL(tmpl->body[1], "r\n");
}

static void run(void (*test)(void))
{
	T_BEGIN {
		test();
	} T_END;
}

#define TEST(name) \
	static void run_##name(void) { run(test_##name); }
TEST(languages)
TEST(headers)
TEST(placeholders)
TEST(injection)
TEST(message_id)
TEST(subjects)
TEST(names)
TEST(addresses)
TEST(clean)
TEST(language_tags)
TEST(fallback)
TEST(unreadable)
TEST(format_errors)
TEST(format_variants)

int main(void)
{
	CU_pSuite suite;
	unsigned int failed;

	lib_init();
	if (CU_initialize_registry() != CUE_SUCCESS)
		return CU_get_error();
	suite = CU_add_suite("notice", NULL, NULL);
	CU_add_test(suite, "every language", run_languages);
	CU_add_test(suite, "headers", run_headers);
	CU_add_test(suite, "placeholders", run_placeholders);
	CU_add_test(suite, "injection", run_injection);
	CU_add_test(suite, "recalled Message-IDs", run_message_id);
	CU_add_test(suite, "subjects", run_subjects);
	CU_add_test(suite, "display names", run_names);
	CU_add_test(suite, "addresses", run_addresses);
	CU_add_test(suite, "harmless values", run_clean);
	CU_add_test(suite, "language tags", run_language_tags);
	CU_add_test(suite, "fallback", run_fallback);
	CU_add_test(suite, "unreadable files", run_unreadable);
	CU_add_test(suite, "errors in files", run_format_errors);
	CU_add_test(suite, "variants of files", run_format_variants);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	lib_deinit();
	return failed == 0 ? 0 : 1;
}
