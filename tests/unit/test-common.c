#include <CUnit/Basic.h>
#include <string.h>

#include "recall-limits.h"
#include "recall-message-id.h"
#include "recall-verdict.h"
#include "run-tests.h"

static enum recall_message_id_error
parse(const char *text, struct recall_message_id *id_r)
{
	return recall_message_id_parse(text, strlen(text), id_r);
}

static void test_accepted(void)
{
	static const char *const texts[] = {
		"<a@b.example>", "a@b.example", "  <a@b.example>", "<a@b.example>\t",
		"<a@b.example", "a@b.example>",
	};
	struct recall_message_id id;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(texts[i], &id), RECALL_MESSAGE_ID_OK);
		CU_ASSERT_EQUAL(id.len, strlen("a@b.example"));
		CU_ASSERT(memcmp(id.data, "a@b.example", id.len) == 0);
	}
	/* quoted local part and octets over 127 are the id's own */
	CU_ASSERT_EQUAL(parse("<\"a\\\"b\"@c>", &id), RECALL_MESSAGE_ID_OK);
	CU_ASSERT_EQUAL(parse("<\xd0\xb0@b>", &id), RECALL_MESSAGE_ID_OK);
}

static void test_refused(void)
{
	static const struct {
		const char *text;
		enum recall_message_id_error error;
	} tests[] = {
		{ "", RECALL_MESSAGE_ID_EMPTY },
		{ "  \t", RECALL_MESSAGE_ID_EMPTY },
		{ "<>", RECALL_MESSAGE_ID_EMPTY },
		{ "<", RECALL_MESSAGE_ID_EMPTY },
		{ " <> ", RECALL_MESSAGE_ID_EMPTY },
		{ "<a@b>\r\n", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\n@b>", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\x7f@b>", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\tb@c>", RECALL_MESSAGE_ID_CONTROL },
		{ "<a b@c>", RECALL_MESSAGE_ID_SPACE },
		{ "< a@b>", RECALL_MESSAGE_ID_SPACE },
		{ "a@b c@d", RECALL_MESSAGE_ID_SPACE },
		{ "<a@b><c@d>", RECALL_MESSAGE_ID_MULTIPLE },
		{ "<a@b> <c@d>", RECALL_MESSAGE_ID_MULTIPLE },
		{ "<<a@b>>", RECALL_MESSAGE_ID_MULTIPLE },
	};
	struct recall_message_id id;
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		CU_ASSERT_EQUAL(parse(tests[i].text, &id), tests[i].error);
	CU_ASSERT_EQUAL(recall_message_id_parse("<a\0b>", 5, &id),
			RECALL_MESSAGE_ID_CONTROL);
}

static void test_length(void)
{
	char text[RECALL_MESSAGE_ID_MAX + 4];
	struct recall_message_id id;

	memset(text, 'a', sizeof(text));
	text[0] = '<';
	text[RECALL_MESSAGE_ID_MAX + 1] = '>';
	CU_ASSERT_EQUAL(recall_message_id_parse(text, RECALL_MESSAGE_ID_MAX + 2,
						&id), RECALL_MESSAGE_ID_OK);
	CU_ASSERT_EQUAL(id.len, RECALL_MESSAGE_ID_MAX);
	text[RECALL_MESSAGE_ID_MAX + 1] = 'a';
	text[RECALL_MESSAGE_ID_MAX + 2] = '>';
	CU_ASSERT_EQUAL(recall_message_id_parse(text, RECALL_MESSAGE_ID_MAX + 3,
						&id), RECALL_MESSAGE_ID_TOO_LONG);
}

static bool header_equals(const char *value, const char *asked)
{
	struct recall_message_id id1, id2;

	return recall_message_id_from_header(value, strlen(value), &id1) &&
	       parse(asked, &id2) == RECALL_MESSAGE_ID_OK &&
	       recall_message_id_equals(&id1, &id2);
}

static void test_header(void)
{
	CU_ASSERT(header_equals("<a@b>", "<a@b>"));
	CU_ASSERT(header_equals("\r\n <a@b>", "a@b"));
	CU_ASSERT(header_equals("a@b \r\n\t", "<a@b>"));
	CU_ASSERT(!header_equals("<a@b>", "<A@b>"));
	CU_ASSERT(!header_equals("<a@b.example>", "<a@b>"));
	CU_ASSERT(!header_equals("<xa@b>", "<a@b>"));
	CU_ASSERT(!header_equals("<a@b> (comment)", "<a@b>"));
	CU_ASSERT(!header_equals("", "<a@b>"));
	CU_ASSERT(!header_equals("<>", "<a@b>"));
}

static void test_names(void)
{
	int i;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		CU_ASSERT_EQUAL(recall_verdict_parse(recall_verdict_name(i)), i);
	}
	CU_ASSERT_EQUAL(recall_verdict_parse("nonsense"), -1);
	for (i = 0; i < RECALL_NOTICE_COUNT; i++)
		CU_ASSERT_PTR_NOT_NULL(recall_notice_status_name(i));
}

int main(void)
{
	CU_pSuite suite;

	suite = tests_begin("common");
	CU_add_test(suite, "accepted Message-IDs", test_accepted);
	CU_add_test(suite, "refused Message-IDs", test_refused);
	CU_add_test(suite, "length limit", test_length);
	CU_add_test(suite, "Message-ID headers", test_header);
	CU_add_test(suite, "verdict names", test_names);
	return tests_run();
}
