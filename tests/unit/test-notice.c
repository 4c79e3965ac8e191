#include "lib.h"
#include "dovecot-compat.h"
#include "str.h"
#include "unichar.h"
#include "recall-notice-render.h"
#include "recall-notice-text.h"
#include "notice-files.h"
#include "notice-message.h"
#include "run-tests.h"

#include <CUnit/Basic.h>

#define RECALL_ID "0123456789abcdef0123456789abcdef"

static const char *const langs[] = { NOTICE_LANGS };

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

	if (recall_notice_render(notice, notice_shipped("en-US"), env,
				 dest, &error) == 0)
		return "(rendered)";
	return error;
}

static void test_languages(void)
{
	struct recall_notice notice = notice_default;
	const char *message, *texts[N_ELEMENTS(langs)][2];
	unsigned int i, j;
	int kind;

	for (i = 0; i < N_ELEMENTS(langs); i++) {
		const struct recall_notice_template *tmpl =
			notice_shipped(langs[i]);

		CU_ASSERT_STRING_EQUAL(tmpl->lang, langs[i]);
		for (kind = 0; kind <= RECALL_NOTICE_KIND_READ; kind++) {
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
				     notice_shipped("en-US"), &env_default);
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

	message = render(&notice_default, notice_shipped("ru-RU"),
			 &env_default);
	other = header_raw(message, "Message-ID");
	/* a retry is the same notice, even if the user's language changed */
	CU_ASSERT_STRING_EQUAL(id, other);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Transfer-Encoding"),
			       "base64");
	message = render(&notice_default, notice_shipped("fr-FR"),
			 &env_default);
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Transfer-Encoding"),
			       "quoted-printable");
}

static void test_own_message_id(void)
{
	const char *id = recall_notice_render_message_id(&notice_default,
							 &env_default);
	struct recall_notice_envelope env = env_default;
	struct recall_notice notice = notice_default;

	CU_ASSERT(contains(id, notice.recall_id));
	env.username = "carol@example.com";
	CU_ASSERT_STRING_NOT_EQUAL(
		id, recall_notice_render_message_id(&notice, &env));
	notice.kind = notice.kind == RECALL_NOTICE_KIND_READ ?
		RECALL_NOTICE_KIND_EXPUNGED : RECALL_NOTICE_KIND_READ;
	CU_ASSERT_STRING_NOT_EQUAL(
		id, recall_notice_render_message_id(&notice, &env_default));
}

static void test_placeholders(void)
{
	const struct recall_notice_template *tmpl = load_text(minimal_text);
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
	CU_ASSERT(str_begins_with(body(message),
			     "e none|nobody|nobody|bob@example.com|3\n"));
	CU_ASSERT(!contains(body(message), "why:"));

	/* what looks encoded is text: it was decoded before */
	notice.subject = "=?utf-8?q?decoded?=";
	CU_ASSERT_STRING_EQUAL(header(render(&notice, tmpl, &env), "Subject"),
			       "E =?utf-8?q?decoded?=");

	/* what a value holds is not expanded once more */
	notice.subject = "%{from} %% [read]";
	notice.date = "yesterday";
	notice.kind = RECALL_NOTICE_KIND_EXPUNGED;
	CU_ASSERT(str_begins_with(body(render(&notice, tmpl, &env)),
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
			notice_shipped(langs[i]);

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
	const struct recall_notice_template *tmpl = notice_shipped("en-US");
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
	const struct recall_notice_template *tmpl = load_text(minimal_text);
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
		"Mail", "Mail \"System\" \\ <x@y>", "a, b; c: (d)",
		"=?utf-8?q?x?=",
		"Почтовая система большого предприятия",
		"J\xc3\xb6rg, \"Post\"",
	};
	const struct recall_notice_template *tmpl = notice_shipped("en-US");
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
			CU_ASSERT(str_begins_with(header_raw(message, "From"),
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
	const struct recall_notice_template *tmpl = notice_shipped("en-US");
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
		{ "a\xc2\x85" "b", 9, "a b" },
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

NOTICE_TEST(languages)
NOTICE_TEST(headers)
NOTICE_TEST(placeholders)
NOTICE_TEST(injection)
NOTICE_TEST(message_id)
NOTICE_TEST(own_message_id)
NOTICE_TEST(subjects)
NOTICE_TEST(names)
NOTICE_TEST(addresses)
NOTICE_TEST(clean)

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("notice");
	CU_add_test(suite, "every language", run_languages);
	CU_add_test(suite, "headers", run_headers);
	CU_add_test(suite, "placeholders", run_placeholders);
	CU_add_test(suite, "injection", run_injection);
	CU_add_test(suite, "recalled Message-IDs", run_message_id);
	CU_add_test(suite, "own Message-IDs", run_own_message_id);
	CU_add_test(suite, "subjects", run_subjects);
	CU_add_test(suite, "display names", run_names);
	CU_add_test(suite, "addresses", run_addresses);
	CU_add_test(suite, "harmless values", run_clean);
	ret = tests_run();
	lib_deinit();
	return ret;
}
