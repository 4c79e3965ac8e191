#include "lib.h"
#include "str.h"
#include "notice-files.h"
#include "run-tests.h"

#include <CUnit/Basic.h>
#include <sys/stat.h>

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

	notice_dir_new();
	notice_dir_write("en-US.txt", text);
	error = load_error(notice_dir, "en-US");
	notice_dir_free();
	return error;
}

static bool contains(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
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
		CU_ASSERT_STRING_EQUAL(notice_shipped(wrong[i])->lang,
				       "en-US");
	}
}

static void test_fallback(void)
{
	CU_ASSERT_STRING_EQUAL(notice_shipped("ru-KZ")->lang, "ru-RU");
	CU_ASSERT_STRING_EQUAL(notice_shipped("es")->lang, "es-PA");
	CU_ASSERT_STRING_EQUAL(notice_shipped("pt_pt")->lang, "pt-BR");
	CU_ASSERT_STRING_EQUAL(notice_shipped("de-DE")->lang, "en-US");

	notice_dir_new();
	CU_ASSERT(contains(load_error(notice_dir, "ru-RU"), "/en-US.txt"));
	notice_dir_write("ru-UA.txt", minimal_text);
	notice_dir_write("ru-KZ.txt", minimal_text);
	notice_dir_write("ru-bad.txt~", minimal_text);
	notice_dir_write("ru-ABCD.txt", minimal_text);
	notice_dir_write("rue-UA.txt", minimal_text);
	CU_ASSERT_STRING_EQUAL(notice_load(notice_dir, "ru-RU")->lang, "ru-KZ");
	CU_ASSERT_STRING_EQUAL(notice_load(notice_dir, "ru-UA")->lang, "ru-UA");
	CU_ASSERT(contains(load_error(notice_dir, "en-GB"), "/en-US.txt"));
	notice_dir_write("ru.txt", minimal_text);
	CU_ASSERT_STRING_EQUAL(notice_load(notice_dir, "ru-RU")->lang, "ru");
	/* a broken file is not passed over */
	notice_dir_write("ru-RU.txt", "nonsense");
	CU_ASSERT(contains(load_error(notice_dir, "ru-RU"), "/ru-RU.txt"));
	notice_dir_free();

	CU_ASSERT(contains(load_error(notice_dir, "en-US"), notice_dir));
}

static void test_unreadable(void)
{
	string_t *large = t_str_new(70 * 1024);

	notice_dir_new();
	if (mkdir(t_strconcat(notice_dir, "/en-US.txt", NULL), 0700) < 0)
		i_fatal("mkdir() failed: %m");
	CU_ASSERT(contains(load_error(notice_dir, "en-US"), "/en-US.txt"));
	notice_dir_free();

	notice_dir_new();
	if (mkfifo(t_strconcat(notice_dir, "/en-US.txt", NULL), 0600) < 0)
		i_fatal("mkfifo() failed: %m");
	CU_ASSERT(contains(load_error(notice_dir, "en-US"),
			   "Not a regular file"));
	notice_dir_free();

	notice_dir_new();
	str_append(large, minimal_text);
	while (str_len(large) <= 64 * 1024)
		str_append(large, "more\n");
	notice_dir_write_data("en-US.txt", str_data(large), str_len(large));
	CU_ASSERT(contains(load_error(notice_dir, "en-US"), "Larger"));
	notice_dir_write_data("en-US.txt", minimal_text,
			       strlen(minimal_text) + 1);
	CU_ASSERT(contains(load_error(notice_dir, "en-US"), "UTF-8"));
	notice_dir_free();
}

static const char *minimal_with(const char *line)
{
	return t_strconcat(line, "\n", minimal_text, NULL);
}

static void test_format_errors(void)
{
	static const struct {
		const char *line, *error;
	} tests[] = {
		{ "Subject: x", "line 1: Unknown header: Subject" },
		{ "nonsense", "line 1: Expected" },
		{ "Unknown: x", "line 6: Header given twice: Unknown" },
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
				      "Subject-report: c\n"
				      "[expunged]\nx\n"),
			   "[read] is missing"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read:\n"
				      "Subject-report: c\n"
				      "[expunged]\nx\n[read]\nx\n"),
			   "Subject-read: is missing or empty"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "Subject-report: c\n"
				      "[expunged]\n\n[read]\nx\n"),
			   "[expunged] is missing or empty"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "Subject-report: c\n"
				      "[expunged]\nx\n[read]\nx\n"
				      "[report]\nx\n"),
			   "No-subject: is missing"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "[expunged]\nx\n[read]\nx\n"
				      "[report]\nx\n"),
			   "Subject-report: is missing"));
	CU_ASSERT(contains(text_error("Subject-expunged: a\nSubject-read: b\n"
				      "Subject-report: c\n"
				      "[expunged]\nx\n[read]\nx\n"),
			   "[report] is missing"));
}

static void test_format_variants(void)
{
	const struct recall_notice_template *tmpl;
	string_t *crlf = t_str_new(1024);
	const char *p;

	/* as an editor on Windows would leave it */
	str_append(crlf, "\xef\xbb\xbf");
	for (p = minimal_text; *p != '\0'; p++) {
		if (*p == '\n')
			str_append_c(crlf, '\r');
		str_append_c(crlf, *p);
	}
	tmpl = load_text(str_c(crlf));
	CU_ASSERT_STRING_EQUAL(tmpl->subject[0], "E %{subject}");
	CU_ASSERT_STRING_EQUAL(tmpl->body[1], "r\n");
	CU_ASSERT_STRING_EQUAL(tmpl->body[0],
			       load_text(minimal_text)->body[0]);
	/* no LF at the end */
	tmpl = load_text(t_strndup(minimal_text, strlen(minimal_text) - 1));
	CU_ASSERT_STRING_EQUAL(tmpl->body[1], "r\n");
}

NOTICE_TEST(language_tags)
NOTICE_TEST(fallback)
NOTICE_TEST(unreadable)
NOTICE_TEST(format_errors)
NOTICE_TEST(format_variants)

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("notice templates");
	CU_add_test(suite, "language tags", run_language_tags);
	CU_add_test(suite, "fallback", run_fallback);
	CU_add_test(suite, "unreadable files", run_unreadable);
	CU_add_test(suite, "errors in files", run_format_errors);
	CU_add_test(suite, "variants of files", run_format_variants);
	ret = tests_run();
	lib_deinit();
	return ret;
}
