#include "lib.h"
#include "recall-scan.h"
#include "run-tests.h"

#include <CUnit/Basic.h>

#include <time.h>

/* which one it is is all that is asked */
static struct mailbox_list *const list = (void *)&list;

/* A look at mailboxes of which the index knows that they have nothing. */
static bool
look(struct recall_scan *scan, const char *const *names, time_t changed)
{
	recall_scan_begin(scan);
	for (; *names != NULL; names++)
		CU_ASSERT(recall_scan_pass_over(scan, list, *names, 0));
	recall_scan_listed(scan, changed);
	return recall_scan_is_certain(scan);
}

static const char *const all[] = { "INBOX", "Work", NULL };
static const char *const renamed[] = { "INBOX", "Play", NULL };
static const char *const missed[] = { "INBOX", NULL };
static const char *const none[] = { NULL };

/* Each test begins as a recall does. */
static struct recall_scan *begin(pool_t *pool_r)
{
	*pool_r = pool_alloconly_create("scan", 1024);
	return recall_scan_init(*pool_r);
}

static void test_directories_unchanged(void)
{
	pool_t pool;
	struct recall_scan *scan = begin(&pool);

	CU_ASSERT(look(scan, missed, time(NULL) - 100));
	pool_unref(&pool);
}

/* A mailbox that is renamed just now may be missed under both names. */
static void test_directories_changed(void)
{
	pool_t pool;
	struct recall_scan *scan = begin(&pool);
	const time_t now = time(NULL);

	CU_ASSERT(!look(scan, missed, now));
	CU_ASSERT(!look(scan, all, now));
	CU_ASSERT(!look(scan, renamed, now));
	CU_ASSERT(look(scan, renamed, now));
	CU_ASSERT(!look(scan, missed, now));
	pool_unref(&pool);
}

static void test_no_mailboxes(void)
{
	pool_t pool;
	struct recall_scan *scan = begin(&pool);
	const time_t now = time(NULL);

	CU_ASSERT(!look(scan, none, now));
	CU_ASSERT(look(scan, none, now));
	pool_unref(&pool);
}

static void test_uncertain(void)
{
	pool_t pool;
	struct recall_scan *scan = begin(&pool);

	CU_ASSERT(look(scan, all, 0));
	recall_scan_set_uncertain(scan);
	CU_ASSERT(!recall_scan_is_certain(scan));
	CU_ASSERT(look(scan, all, 0));
	pool_unref(&pool);
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("scan");
	CU_add_test(suite, "no directory changed",
		    test_directories_unchanged);
	CU_add_test(suite, "directories changed", test_directories_changed);
	CU_add_test(suite, "no mailboxes", test_no_mailboxes);
	CU_add_test(suite, "something was gone", test_uncertain);
	ret = tests_run();
	lib_deinit();
	return ret;
}
