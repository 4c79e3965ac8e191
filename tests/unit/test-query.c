#include "lib.h"
#include "mail-search.h"
#include "recall-count.h"
#include "recall-limits.h"
#include "recall-query.h"
#include "run-tests.h"

#include <CUnit/Basic.h>

static void test_count(void)
{
	struct recall_count *count = recall_count_init(5);
	const char *error = NULL;

	recall_count_add(count, "a@example.com", 2);
	recall_count_add(count, "b@example.com", 0);
	CU_ASSERT(!recall_count_is_expected(count, &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "2 messages"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "not 5"));
	recall_count_add(count, "c@example.com", 3);
	CU_ASSERT(recall_count_is_expected(count, &error));
	recall_count_deinit(&count);
	CU_ASSERT_PTR_NULL(count);
}

static void test_count_get(void)
{
	struct recall_count *count = recall_count_init(2);
	const char *error = NULL;

	recall_count_add(count, "a@example.com", 2);
	recall_count_add(count, "b@example.com", 0);
	CU_ASSERT_EQUAL(recall_count_get(count, "a@example.com"), 2);
	CU_ASSERT_EQUAL(recall_count_get(count, "b@example.com"), 0);
	/* nor may a user turn up */
	CU_ASSERT_EQUAL(recall_count_get(count, "c@example.com"), 0);
	/* named twice */
	recall_count_add(count, "b@example.com", 7);
	CU_ASSERT_EQUAL(recall_count_get(count, "b@example.com"), 0);
	CU_ASSERT(recall_count_is_expected(count, &error));
	recall_count_deinit(&count);
}

/* 1 if selective, 0 if not, -1 if the query is refused. */
static int query_judge(const char *const *words)
{
	struct mail_search_args *args = NULL;
	const char *error = NULL;
	int ret;

	if (recall_query_parse(words, &args, &error) < 0) {
		CU_ASSERT_PTR_NOT_NULL(error);
		return -1;
	}
	CU_ASSERT_PTR_NULL(error);
	ret = recall_query_is_selective(args) ? 1 : 0;
	mail_search_args_unref(&args);
	return ret;
}

static int query_judge_str(const char *query)
{
	int ret;

	T_BEGIN {
		ret = query_judge(t_strsplit_spaces(query, " "));
	} T_END;
	return ret;
}

static void test_selective(void)
{
	static const char *const queries[] = {
		"FROM x", "NOT FROM x", "FROM x OR TO y", "ALL FROM x",
		"mailbox INBOX UID 3", "UID 2:*", "1:5", "UNSEEN", "LARGER 1",
		"( mailbox a OR mailbox b ) SUBJECT x",
		"NOT ( mailbox a OR FROM x )", "NOT ALL", "NOT 1:*",
		"SINCE 2020-01-01", "BEFORE 2020-01-01", "GUID x", "MODSEQ 7",
		"INTHREAD REFS FROM x", "NOT TEXT x",
		"( mailbox a FROM x ) OR ( mailbox b FROM x )",
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(queries); i++)
		CU_ASSERT_EQUAL(query_judge_str(queries[i]), 1);
}

static void test_everything(void)
{
	static const char *const queries[] = {
		"ALL", "mailbox INBOX", "mailbox *", "mailbox-guid x",
		"NOT mailbox INBOX", "UID 1:*", "1:*", "LARGER 0",
		"SINCE 1970-01-01", "ALL OR FROM x", "FROM x OR mailbox a",
		"FROM x OR TO y OR ALL", "( ( FROM x OR ( ALL ) ) )",
		"mailbox a OR mailbox b", "NOT ( FROM x mailbox a )",
		"SEEN OR UNSEEN", "MODSEQ 0", "OLDESTONLY",
		"INTHREAD REFS ALL", "FROM x OR ( mailbox a 1:* )",
	};
	static const char *const empty_texts[][4] = {
		{ "FROM", "", NULL, NULL }, { "TEXT", "", NULL, NULL },
		{ "BODY", "", NULL, NULL }, { "SUBJECT", "", "ALL", NULL },
		{ "HEADER", "Message-ID", "", NULL },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(queries); i++)
		CU_ASSERT_EQUAL(query_judge_str(queries[i]), 0);
	for (i = 0; i < N_ELEMENTS(empty_texts); i++)
		CU_ASSERT_EQUAL(query_judge(empty_texts[i]), 0);
}

static void test_refused(void)
{
	static const char *const queries[] = {
		"", "FROM", "nonsense", "(", ")", "( )", "NOT", "SINCE soon",
		"LARGER huge", "UID x", "FROM x OR BODY y TO z",
	};
	static const char *const not_utf8[] = { "FROM", "\xff", NULL };
	const char *words[RECALL_QUERY_WORDS_MAX + 2];
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(queries); i++)
		CU_ASSERT_EQUAL(query_judge_str(queries[i]), -1);
	CU_ASSERT_EQUAL(query_judge(not_utf8), -1);

	for (i = 0; i < RECALL_QUERY_WORDS_MAX; i++)
		words[i] = "SEEN";
	words[i] = NULL;
	CU_ASSERT_EQUAL(query_judge(words), 1);
	words[i] = "SEEN";
	words[i + 1] = NULL;
	CU_ASSERT_EQUAL(query_judge(words), -1);
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("query");
	CU_add_test(suite, "count", test_count);
	CU_add_test(suite, "count of a user", test_count_get);
	CU_add_test(suite, "selective queries", test_selective);
	CU_add_test(suite, "queries for everything", test_everything);
	CU_add_test(suite, "refused queries", test_refused);
	ret = tests_run();
	lib_deinit();
	return ret;
}
