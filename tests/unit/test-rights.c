#include <CUnit/Basic.h>
#include <string.h>

#include "recall-rights.h"
#include "run-tests.h"

#define RIGHT(index) (1U << (index))

enum {
	LOOKUP = RIGHT(0), READ = RIGHT(1), WRITE = RIGHT(2),
	WRITE_SEEN = RIGHT(3), WRITE_DELETED = RIGHT(4), INSERT = RIGHT(5),
	POST = RIGHT(6), EXPUNGE = RIGHT(7), CREATE = RIGHT(8),
	DELETE = RIGHT(9), ADMIN = RIGHT(10),
	READER = LOOKUP | READ | WRITE_SEEN,
	EDITOR = READER | WRITE | WRITE_DELETED | INSERT | POST | EXPUNGE,
	OWNER = EDITOR | CREATE | DELETE | ADMIN,
};

static const char *bad;
static size_t bad_len;

static int parse(const char *const *words, unsigned int *rights_r)
{
	bad = "not set";
	bad_len = 0;
	return recall_rights_parse(words, rights_r, &bad, &bad_len);
}

static unsigned int parse_one(const char *word)
{
	const char *const words[] = { word, NULL };
	unsigned int rights;

	CU_ASSERT_EQUAL_FATAL(parse(words, &rights), 0);
	return rights;
}

static void assert_refused(const char *word, const char *refused)
{
	const char *const words[] = { "lookup", word, "read", NULL };
	unsigned int rights;

	CU_ASSERT_EQUAL(parse(words, &rights), -1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bad);
	CU_ASSERT_EQUAL_FATAL(bad_len, strlen(refused));
	CU_ASSERT(memcmp(bad, refused, bad_len) == 0);
}

static void test_names(void)
{
	static const char *const names[RECALL_RIGHTS_COUNT] = {
		"lookup", "read", "write", "write-seen", "write-deleted",
		"insert", "post", "expunge", "create", "delete", "admin",
	};
	unsigned int i;

	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		CU_ASSERT_STRING_EQUAL(recall_rights_name(i), names[i]);
		CU_ASSERT_EQUAL(recall_rights_find(names[i]), (int)i);
		CU_ASSERT_EQUAL(parse_one(names[i]), RIGHT(i));
	}
	CU_ASSERT_PTR_NULL(recall_rights_name(RECALL_RIGHTS_COUNT));
	CU_ASSERT_EQUAL(recall_rights_find("look"), -1);
	CU_ASSERT_EQUAL(recall_rights_find(""), -1);
	CU_ASSERT_EQUAL(RECALL_RIGHT_LOOKUP, LOOKUP);
}

static void test_letters(void)
{
	static const char letters[RECALL_RIGHTS_COUNT + 1] = "lrwstipekxa";
	char word[2] = "";
	unsigned int i;

	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		word[0] = letters[i];
		CU_ASSERT_EQUAL(parse_one(word), RIGHT(i));
	}
	CU_ASSERT_EQUAL(parse_one("lrs"), READER);
	CU_ASSERT_EQUAL(parse_one("slr"), READER);
	CU_ASSERT_EQUAL(parse_one(letters), OWNER);
	/* all of its letters are rights, but it is one right's name */
	CU_ASSERT_EQUAL(parse_one("write"), WRITE);
}

static void test_presets(void)
{
	CU_ASSERT_EQUAL(parse_one("reader"), READER);
	CU_ASSERT_EQUAL(parse_one("editor"), EDITOR);
	CU_ASSERT_EQUAL(parse_one("owner"), OWNER);
}

static void test_mixed(void)
{
	static const char *const words[] = {
		"reader", "expunge", "ti", "read", NULL
	};
	static const char *const empty_words[] = {
		"", " lookup,,read ", ",", NULL
	};
	unsigned int rights;

	CU_ASSERT_EQUAL_FATAL(parse(words, &rights), 0);
	CU_ASSERT_EQUAL(rights, READER | EXPUNGE | WRITE_DELETED | INSERT);
	CU_ASSERT_EQUAL_FATAL(parse(empty_words, &rights), 0);
	CU_ASSERT_EQUAL(rights, LOOKUP | READ);
	CU_ASSERT_EQUAL(parse_one("reader,post x"), READER | POST | DELETE);
}

static void test_refused(void)
{
	assert_refused("raed", "raed");
	assert_refused("Lookup", "Lookup");
	assert_refused("lookups", "lookups");
	assert_refused("loo", "loo");
	assert_refused("LRS", "LRS");
	assert_refused("-read", "-read");
	assert_refused("read,nothing,write", "nothing");
	/* obsolete letters of RFC 2086 mean several rights */
	assert_refused("lrc", "lrc");
	assert_refused("d", "d");
	/* a letter twice */
	assert_refused("reset", "reset");
	assert_refused("l\xd1\x80", "l\xd1\x80");
	assert_refused("\t", "\t");
}

static void test_none(void)
{
	static const char *const none[] = { NULL };
	static const char *const empty[] = { "", " , ", NULL };
	unsigned int rights;

	CU_ASSERT_EQUAL(parse(none, &rights), -1);
	CU_ASSERT_PTR_NULL(bad);
	CU_ASSERT_EQUAL(parse(empty, &rights), -1);
	CU_ASSERT_PTR_NULL(bad);
}

int main(void)
{
	CU_pSuite suite = tests_begin("rights");

	CU_add_test(suite, "names", test_names);
	CU_add_test(suite, "letters", test_letters);
	CU_add_test(suite, "presets", test_presets);
	CU_add_test(suite, "mixed", test_mixed);
	CU_add_test(suite, "refused", test_refused);
	CU_add_test(suite, "none", test_none);
	return tests_run();
}
