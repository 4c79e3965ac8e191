#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
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
	static const struct {
		const char *text, *id;
	} tests[] = {
		{ "<a@b.example>", "a@b.example" },
		{ "a@b.example", "a@b.example" },
		{ "  <a@b.example>", "a@b.example" },
		{ "<a@b.example>\t", "a@b.example" },
		{ "<a@b.example", "a@b.example" },
		{ "a@b.example>", "a@b.example" },
		{ "< a@b.example >", "a@b.example" },
		{ "<no-at-sign>", "no-at-sign" },
		{ "<two words>", "two words" },
		/* octets over 127 and quoted local parts are the id's own */
		{ "<\xd0\xb0@b>", "\xd0\xb0@b" },
		{ "<\"a\\\"b\"@c>", "\"a\\\"b\"@c" },
		{ "<\"a  b\"@c>", "\"a  b\"@c" },
		{ "<\"a>b\"@c>", "\"a>b\"@c" },
		/* what is asked for is not simplified */
		{ "<a (1)@b>", "a (1)@b" },
		{ "<a  @ b>", "a @ b" },
		/* whole values */
		{ "<a@b> (by <c@d>)", "<a@b> (by <c@d>)" },
		{ "<a@b>\t (by  c@d)", "<a@b> (by c@d)" },
		{ "<a@b> <c@d>", "<a@b> <c@d>" },
		{ "<a@b><c@d>", "<a@b><c@d>" },
		{ "<<a@b>>", "<<a@b>>" },
		{ "<> <a@b>", "<> <a@b>" },
		{ "<a@b>;", "<a@b>;" },
		{ "id: <a@b>", "id: <a@b>" },
		{ "a@b (by c@d)", "a@b (by c@d)" },
	};
	struct recall_message_id id;
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(tests[i].text, &id),
				      RECALL_MESSAGE_ID_OK);
		CU_ASSERT_STRING_EQUAL(id.data, tests[i].id);
		CU_ASSERT_EQUAL(id.len, strlen(tests[i].id));
		/* an id is found by the value as it stands */
		CU_ASSERT(recall_message_id_is_in_header(&id,
				tests[i].text, strlen(tests[i].text)));
	}
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
		{ ">", RECALL_MESSAGE_ID_EMPTY },
		{ " <> ", RECALL_MESSAGE_ID_EMPTY },
		{ "< >", RECALL_MESSAGE_ID_EMPTY },
		{ "<> <>", RECALL_MESSAGE_ID_EMPTY },
		{ "<a@b>\r\n", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\n@b>", RECALL_MESSAGE_ID_CONTROL },
		{ "<a@b>\r\n (c)", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\x7f@b>", RECALL_MESSAGE_ID_CONTROL },
		{ "<a\tb@c>", RECALL_MESSAGE_ID_CONTROL },
		{ "unseen", RECALL_MESSAGE_ID_BARE },
		{ "subject x", RECALL_MESSAGE_ID_BARE },
		{ "*", RECALL_MESSAGE_ID_BARE },
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
	char text[RECALL_MESSAGE_ID_MAX + 6];
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
						&id),
			RECALL_MESSAGE_ID_TOO_LONG);
	CU_ASSERT(!recall_message_id_from_header(text,
				RECALL_MESSAGE_ID_MAX + 3, &id));
	/* what is too much is a space, or a quoted string */
	memcpy(text + RECALL_MESSAGE_ID_MAX + 1, " b>", 3);
	CU_ASSERT_EQUAL(recall_message_id_parse(text, RECALL_MESSAGE_ID_MAX + 4,
						&id),
			RECALL_MESSAGE_ID_TOO_LONG);
	memcpy(text + RECALL_MESSAGE_ID_MAX, "\"b\">", 4);
	CU_ASSERT_EQUAL(recall_message_id_parse(text, RECALL_MESSAGE_ID_MAX + 4,
						&id),
			RECALL_MESSAGE_ID_TOO_LONG);
}

static bool names_add(const struct recall_message_id *id, void *context)
{
	char *text = context, name[RECALL_MESSAGE_ID_MAX + 3];

	/* the same one twice says nothing */
	snprintf(name, sizeof(name), "[%s]", id->data);
	if (strstr(text, name) == NULL)
		strcat(text, name);
	return true;
}

static void test_header(void)
{
	static const struct {
		const char *value, *names;
	} tests[] = {
		{ "", "" },
		{ "<>", "" },
		{ " < >\r\n", "" },
		{ "<a@b>", "[a@b]" },
		{ "\r\n <a@b>", "[a@b]" },
		{ "a@b \r\n\t", "[a@b]" },
		{ "<a@b", "[a@b]" },
		{ "a@b>", "[a@b]" },
		{ "< a@b >", "[a@b]" },
		{ "<\r\n\ta@b>", "[a@b]" },
		{ "no-at-sign", "[no-at-sign]" },
		{ "two words", "[two words]" },
		{ "<a@b> (added by postmaster@c)",
		  "[a@b][<a@b> (added by postmaster@c)]" },
		{ "<a@b>\r\n\t (added by\n postmaster@c)\n",
		  "[a@b][<a@b> (added by postmaster@c)]" },
		/* no id is what a comment or a quoted string holds */
		{ "(was <c@d>) <a@b>", "[a@b][(was <c@d>) <a@b>]" },
		{ "(a \\) (<x@y>) <c@d>) <a@b>",
		  "[a@b][(a \\) (<x@y>) <c@d>) <a@b>]" },
		{ "\"was <c@d>\" <a@b>", "[a@b][\"was <c@d>\" <a@b>]" },
		/* what never ends is none */
		{ "(was <a@b>", "[a@b][(was <a@b>]" },
		{ "don\"t <a@b>", "[a@b][don\"t <a@b>]" },
		{ "(<a@b>)", "[(<a@b>)]" },
		{ "a@b (by c@d)", "[a@b (by c@d)]" },
		{ "<\"a b\"@c>", "[\"a b\"@c]" },
		{ "<\"a  (1) >b\" @c>", "[\"a  (1) >b\" @c][\"a  (1) >b\"@c]" },
		{ "<\"a\\\" >b\"@c>", "[\"a\\\" >b\"@c]" },
		{ "<\"a\r\n b\"@c>", "[\"a b\"@c]" },
		{ "<\"a@b>", "[\"a@b]" },
		{ "<a @\r\n b . c>", "[a @ b . c][a@b.c]" },
		/* two words are not one */
		{ "<a b@c>", "[a b@c]" },
		{ "<a\r\n b@c>", "[a b@c]" },
		{ "<a (1)@b>", "[a (1)@b][a@b]" },
		{ "<a(1)@b>", "[a(1)@b][a@b]" },
		{ "<(x)a@b(y (z))>", "[(x)a@b(y (z))][a@b]" },
		{ "<a(b)c@d>", "[a(b)c@d][a c@d]" },
		{ "<a(@b>", "[a(@b]" },
		{ "<a(@b> x)", "[a(@b][<a(@b> x)]" },
		{ "id: <a@b>", "[a@b][id: <a@b>]" },
		{ "<a@b>;", "[a@b][<a@b>;]" },
		{ "<a@b>>", "[a@b][<a@b>>]" },
		{ "<a@b> <c@d>", "[a@b][c@d][<a@b> <c@d>]" },
		{ "<a@b><c@d>", "[a@b][c@d][<a@b><c@d>]" },
		{ "<> <a@b>", "[a@b][<> <a@b>]" },
		{ "<<a@b>>", "[<<a@b>>]" },
		{ "<<><a@b>", "[a@b][<<><a@b>]" },
		{ "<a@b <c@d>", "[<a@b <c@d>]" },
		{ "<a@b> <c@d", "[a@b][c@d][<a@b> <c@d]" },
		{ "=?utf-8?q?=3Ca=40b=3E?=", "[=?utf-8?q?=3Ca=40b=3E?=]" },
	};
	struct recall_message_id id;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		text[0] = '\0';
		CU_ASSERT(recall_message_id_foreach(tests[i].value,
			strlen(tests[i].value), names_add, text));
		if (strcmp(text, tests[i].names) != 0)
			printf("\n%s: %s\n", tests[i].value, text);
		CU_ASSERT_STRING_EQUAL(text, tests[i].names);
		CU_ASSERT_EQUAL(recall_message_id_from_header(tests[i].value,
				strlen(tests[i].value), &id), *text != '\0');
	}
}

static bool header_equals(const char *value, const char *asked)
{
	struct recall_message_id id;

	return parse(asked, &id) == RECALL_MESSAGE_ID_OK &&
	       recall_message_id_is_in_header(&id, value, strlen(value));
}

static void test_match(void)
{
	CU_ASSERT(header_equals("<a@b>", "a@b"));
	CU_ASSERT(header_equals("a@b", "<a@b>"));
	CU_ASSERT(header_equals("<a@b>\r\n\t(c)", "<a@b> (c)"));
	CU_ASSERT(header_equals("< a@b >", "< a@b >"));
	CU_ASSERT(!header_equals("<a@b>", "<A@b>"));
	CU_ASSERT(!header_equals("<a@b.example>", "<a@b>"));
	CU_ASSERT(!header_equals("<xa@b>", "<a@b>"));
	/* one of the value's ids is not all of it */
	CU_ASSERT(!header_equals("<a@b>", "<a@b> (c)"));
	CU_ASSERT(!header_equals("<a@b>", "<a@b> <c@d>"));
	CU_ASSERT(!header_equals("<a@b> <c@d>", "<c@d> <a@b>"));
	CU_ASSERT(!header_equals("<a (1)@b>", "<a (2)@b>"));
	CU_ASSERT(!header_equals("<a@b>", "<a (1)@b>"));
	CU_ASSERT(!header_equals("<\"a b\"@c>", "<\"a  b\"@c>"));
	CU_ASSERT(!header_equals("", "<a@b>"));
}

/* A value ends where its size says, whatever comes after it. */
static void test_size(void)
{
	static const char *const values[] = {
		"<a@b>>", "<a@b<c@d>", "<(a@b>)", "<\"a@b>\"", "<\"a\\b>\"\"",
		"<a (b) @c (d)>", "<a@b> \"(c) <d@e>\" <f@g>", "<<a@b>>",
		" <> (<a@b>) <c", "a@b>> ((c)) \"d\"",
	};
	char whole[4096], part[4096], value[64];
	struct recall_message_id id, other;
	size_t i, len;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		for (len = 0; len <= strlen(values[i]); len++) {
			memcpy(value, values[i], len);
			value[len] = '\0';
			whole[0] = part[0] = '\0';
			(void)recall_message_id_foreach(value, len, names_add,
							whole);
			(void)recall_message_id_foreach(values[i], len,
							names_add, part);
			CU_ASSERT_STRING_EQUAL(part, whole);
			CU_ASSERT_EQUAL(
				recall_message_id_parse(values[i], len, &id),
				recall_message_id_parse(value, len, &other));
		}
	}
}

/* What takes the square of its time, or a thousand times as long as others,
   would take long here: these are as long as headers may be. */
static void test_hostile(void)
{
	static const char *const octets[] = {
		"(", "\"", "<", "<(", "(\"", "\\", "<a", "<a>", ">", "\r\n ",
		"(><)", "\"><\"", "\"\\", "<((((((((((((((((((((((((((>",
	};
	const size_t size = 10 * 1024 * 1024;
	char *text = malloc(size);
	struct recall_message_id id;
	size_t i, j;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL_FATAL(parse("<b@c>", &id), RECALL_MESSAGE_ID_OK);
	for (i = 0; i < sizeof(octets) / sizeof(octets[0]); i++) {
		for (j = 0; j < size; j++)
			text[j] = octets[i][j % strlen(octets[i])];
		CU_ASSERT(!recall_message_id_is_in_header(&id, text, size));
		text[0] = '<';
		CU_ASSERT(!recall_message_id_is_in_header(&id, text, size));
		/* what comes after it counts nevertheless */
		memcpy(text + size - 8, ">> <b@c>", 8);
		CU_ASSERT(recall_message_id_is_in_header(&id, text, size));
	}
	free(text);
}

static void test_names(void)
{
	int i;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		CU_ASSERT_EQUAL(recall_verdict_parse(recall_verdict_name(i)),
				i);
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
	CU_add_test(suite, "names of Message-ID headers", test_header);
	CU_add_test(suite, "ids and headers", test_match);
	CU_add_test(suite, "sizes of headers", test_size);
	CU_add_test(suite, "hostile headers", test_hostile);
	CU_add_test(suite, "verdict names", test_names);
	return tests_run();
}
