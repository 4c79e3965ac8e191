#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "str.h"
#include "recall-report-render.h"
#include "notice-files.h"
#include "notice-message.h"
#include "run-tests.h"

#include <CUnit/Basic.h>

#define RECALL_ID "0123456789abcdef0123456789abcdef"

static const char *const langs[] = { NOTICE_LANGS };

static const struct recall_notice_envelope env_default = {
	.from_address = "system@example.com",
	.from_name = "Mail System",
	.username = "boss@example.com",
	.hostname = "node1.example.com",
	.now = 1795527282,
};

static void
add(struct recall_report *report, const char *username,
    enum recall_verdict verdict, unsigned int copies)
{
	struct recall_report_row *row;

	report->counts[verdict]++;
	if (array_count(&report->rows) == RECALL_REPORT_ROWS_MAX)
		return;
	row = array_append_space(&report->rows);
	row->username = username;
	row->verdict = verdict;
	row->copies = copies;
}

static void report_init(struct recall_report *report_r)
{
	*report_r = (struct recall_report) {
		.command = "recall expunge",
		.recall_id = RECALL_ID,
		.message_id = "recalled@sender.example",
		.actor = "admin@example.com",
		.reason = "Sent by mistake",
		.subject = "Quarterly report",
		.from = "Alice <alice@sender.example>",
		.date = "Tue, 24 Nov 2026 13:34:42 +0330",
		.copies = 3,
	};
	t_array_init(&report_r->rows, 8);
	add(report_r, "a@example.com", RECALL_VERDICT_EXPUNGED, 2);
	add(report_r, "b@example.com", RECALL_VERDICT_EXPUNGED, 1);
	add(report_r, "c@example.com", RECALL_VERDICT_READ, 1);
}

static const char *
render(const struct recall_report *report,
       const struct recall_notice_template *tmpl,
       const struct recall_notice_envelope *env)
{
	string_t *dest = t_str_new(4096);
	const char *error;

	if (recall_report_render(report, tmpl, env, dest, &error) < 0)
		i_fatal("render: %s", error);
	CU_ASSERT_EQUAL(strlen(str_c(dest)), str_len(dest));
	check_message(str_c(dest));
	return str_c(dest);
}

static void test_text(void)
{
	struct recall_report report;
	const char *message, *text;

	report_init(&report);
	message = render(&report, load_text(minimal_text), &env_default);
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"),
			       "P Quarterly report");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "To"),
			       "<boss@example.com>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "In-Reply-To"),
			       "<recalled@sender.example>");
	CU_ASSERT_STRING_EQUAL(header_raw(message, "Auto-Submitted"),
			       "auto-generated");
	text = body(message);
	CU_ASSERT(str_begins_with(text, "recall expunge|"RECALL_ID"|"
			     "<recalled@sender.example>|2026-11-24 "));
	CU_ASSERT(contains(text, ")|3|3\nby admin@example.com\n"
		"why: Sent by mistake\n"
		"what: Quarterly report|Alice <alice@sender.example>|"
		"2026-11-24 13:34 (UTC+03:30)\n"
		"    expunged              2\n"
		"    read                  1\n"
		"--\n"
		"    expunged              2  a@example.com\n"
		"    expunged              1  b@example.com\n"
		"    read                  1  c@example.com\n"));
	CU_ASSERT(!contains(text, "more:"));
}

static void test_languages(void)
{
	struct recall_report report;
	const char *message, *texts[N_ELEMENTS(langs)];
	unsigned int i, j;

	report_init(&report);
	report.proxied_count = 7;
	for (i = 0; i < N_ELEMENTS(langs); i++) {
		message = render(&report, notice_shipped(langs[i]),
				 &env_default);
		CU_ASSERT_STRING_EQUAL(header_raw(message, "Content-Language"),
				       langs[i]);
		/* an order by query is not to find it */
		CU_ASSERT(contains(header(message, "Subject"), RECALL_ID));
		texts[i] = body(message);
		CU_ASSERT(contains(texts[i], " recall expunge\n"));
		CU_ASSERT(contains(texts[i], " "RECALL_ID"\n"));
		CU_ASSERT(contains(texts[i], " admin@example.com\n"));
		CU_ASSERT(contains(texts[i], " Sent by mistake\n"));
		CU_ASSERT(contains(texts[i], " <recalled@sender.example>\n"));
		CU_ASSERT(contains(texts[i], " Quarterly report\n"));
		CU_ASSERT(contains(texts[i], " 10. "));
		CU_ASSERT(contains(texts[i], "  a@example.com\n"));
		CU_ASSERT(contains(texts[i], "    ... "));
		CU_ASSERT(!contains(texts[i], "%"));
		CU_ASSERT(!contains(texts[i], "\n\n\n"));
		for (j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(texts[i], texts[j]);
	}
}

/* Lines without anything to tell are left out. */
static void test_unknown(void)
{
	const struct recall_notice_template *tmpl = load_text(minimal_text);
	struct recall_report report;
	const char *message, *text;

	report_init(&report);
	report.actor = report.reason = "";
	report.subject = report.from = report.date = NULL;
	message = render(&report, tmpl, &env_default);
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"),
			       "P <recalled@sender.example>");
	text = body(message);
	CU_ASSERT(!contains(text, "by ") && !contains(text, "why:") &&
		  !contains(text, "what:"));

	report.from = "x@y";
	CU_ASSERT(contains(body(render(&report, tmpl, &env_default)),
			   "what: none|x@y|nobody\n"));

	report.message_id = NULL;
	report.query = "subject Offer";
	message = render(&report, tmpl, &env_default);
	CU_ASSERT(contains(body(message), "|subject Offer|"));
	CU_ASSERT_PTR_NULL(header_raw(message, "In-Reply-To"));

	report.query = report.from = NULL;
	message = render(&report, tmpl, &env_default);
	CU_ASSERT_STRING_EQUAL(header(message, "Subject"), "P nobody");
	CU_ASSERT(str_begins_with(body(message), "    expunged"));
}

static void test_bounds(void)
{
	struct recall_report report;
	const char *text, *p;
	unsigned int i, lines = 0;

	report_init(&report);
	for (i = 0; i < RECALL_REPORT_ROWS_MAX + 20; i++) {
		add(&report, t_strdup_printf("user%04u@example.com", i),
		    RECALL_VERDICT_NOT_FOUND, 0);
	}
	text = body(render(&report, load_text(minimal_text), &env_default));
	CU_ASSERT(contains(text, "    not_found          1020\n"));
	CU_ASSERT(contains(text, "user0996@example.com\nmore: 23\n"));
	for (p = strstr(text, "\n--\n"); p != NULL; p = strchr(p + 1, '\n'))
		lines++;
	/* the two before the table, the table, what's more, the end */
	CU_ASSERT_EQUAL(lines, 2 + RECALL_REPORT_ROWS_MAX + 1);
}

static void test_proxied(void)
{
	struct recall_report report;
	struct recall_report_row *row;
	const char *text;

	report_init(&report);
	row = array_append_space(&report.rows);
	row->username = "far@example.com";
	row->proxied = TRUE;
	report.proxied_count = 1;
	text = body(render(&report, load_text(minimal_text), &env_default));
	CU_ASSERT(contains(text, "    other_node            1\n"));
	CU_ASSERT(contains(text, "    other_node            -  "
			   "far@example.com\n"));
	CU_ASSERT(contains(text, ")|4|3\n"));
	CU_ASSERT(!contains(text, "more:"));
}

static void test_injection(void)
{
	static const char evil[] = "x\r\nBcc: evil@example.com\r\n\r\n%{table}";
	struct recall_report report;
	const char *message, *text;

	report_init(&report);
	report.actor = report.reason = report.subject = report.from =
		report.date = report.message_id = evil;
	add(&report, "u\n    expunged  9  fake@example.com",
	    RECALL_VERDICT_NO_USER, 0);
	message = render(&report, load_text(minimal_text), &env_default);
	CU_ASSERT_PTR_NULL(header_raw(message, "Bcc"));
	CU_ASSERT_PTR_NULL(header_raw(message, "In-Reply-To"));
	text = body(message);
	CU_ASSERT(contains(text, "\nby x Bcc: evil@example.com %{table}\n"));
	CU_ASSERT(!contains(text, "\n    expunged  9"));
	CU_ASSERT(contains(text, "  u expunged 9 fake@example.com\n"));

	message = render(&report, notice_shipped("ru-RU"), &env_default);
	CU_ASSERT_PTR_NULL(header_raw(message, "Bcc"));
}

static void test_own_message_id(void)
{
	const struct recall_notice_template *tmpl = load_text(minimal_text);
	struct recall_notice_envelope env = env_default;
	struct recall_report report;
	const char *id;

	report_init(&report);
	id = header_raw(render(&report, tmpl, &env), "Message-ID");
	/* whatever a retry finds, whenever it is made */
	env.now++;
	add(&report, "d@example.com", RECALL_VERDICT_ERROR, 0);
	CU_ASSERT_STRING_EQUAL(id, header_raw(render(&report, tmpl, &env),
					      "Message-ID"));
	report.command = "recall restore";
	CU_ASSERT_STRING_NOT_EQUAL(id, header_raw(render(&report, tmpl, &env),
						  "Message-ID"));
	report_init(&report);
	env.username = "other@example.com";
	CU_ASSERT_STRING_NOT_EQUAL(id, header_raw(render(&report, tmpl, &env),
						  "Message-ID"));
}

NOTICE_TEST(text)
NOTICE_TEST(languages)
NOTICE_TEST(unknown)
NOTICE_TEST(bounds)
NOTICE_TEST(proxied)
NOTICE_TEST(injection)
NOTICE_TEST(own_message_id)

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("report");
	CU_add_test(suite, "text", run_text);
	CU_add_test(suite, "every language", run_languages);
	CU_add_test(suite, "unknown values", run_unknown);
	CU_add_test(suite, "many users", run_bounds);
	CU_add_test(suite, "other nodes", run_proxied);
	CU_add_test(suite, "injection", run_injection);
	CU_add_test(suite, "own Message-IDs", run_own_message_id);
	ret = tests_run();
	lib_deinit();
	return ret;
}
