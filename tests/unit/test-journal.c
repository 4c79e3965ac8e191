#include <time.h>

#include "journal-standing.h"
#include "journal.h"
#include "run-tests.h"
#include "temp-journal.h"

static void add(struct recall *recall, const char *id)
{
	snprintf(recall->id, sizeof(recall->id), "%s", id);
	recall_set_text(&recall->message_id, "<x@example.com>");
	recall_set_text(&recall->source, "127.0.0.1");
	recall_set_text(&recall->actor.login, "a@example.com");
	recall_set_text(&recall->actor.tenant, "red");
	recall->created = 1000;
	CU_ASSERT(journal_add(recall, true));
}

static int count(sqlite3_stmt *stmt)
{
	int n = 0;

	while (journal_step(stmt) == SQLITE_ROW)
		n++;
	journal_release(stmt);
	return n;
}

/* Whoever reads for long neither waits for who writes, nor keeps them waiting,
   and sees what there was when it began. */
static void test_reader(void)
{
	struct recall *recall = recall_new();
	struct temp_journal temp;
	sqlite3_stmt *stmt;
	sqlite3 *db;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	add(recall, "00000000000000000000000000000001");
	db = journal_lock_reader();
	stmt = journal_prepare(db, "SELECT id FROM recalls");
	CU_ASSERT_EQUAL(journal_step(stmt), SQLITE_ROW);
	add(recall, "00000000000000000000000000000002");
	CU_ASSERT(journal_ready());
	CU_ASSERT_EQUAL(count(stmt), 0);
	CU_ASSERT_EQUAL(count(stmt), 2);

	/* it writes nothing, whatever it is asked for */
	CU_ASSERT_FALSE(journal_exec(db, "DELETE FROM recalls", ""));
	CU_ASSERT(journal_begin(journal_lock(), true));
	CU_ASSERT_EQUAL(count(stmt), 2);
	journal_unlock();
	CU_ASSERT(journal_end(journal_lock(), true));
	journal_unlock();
	journal_unlock_reader();
	recall_free(recall);
	journal_close();
	temp_journal_deinit(&temp);
}

/* Its users are not asked about once more, whoever comes too late to know. */
static void test_ended_order(void)
{
	static const char id[] = "00000000000000000000000000000001";
	struct strlist urls = { NULL, 0, 0 };
	struct recall *recall = recall_new();
	struct journal_standing *rows;
	int64_t now = time(NULL);
	struct temp_journal temp;
	size_t n;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	add(recall, id);
	strlist_add(&urls, "http://node");
	CU_ASSERT(journal_standing_add(id, &urls, now + 60, now));
	CU_ASSERT(journal_standing_add_users(id, now + 60, now));
	CU_ASSERT(journal_standing_due_look(now, &rows, &n));
	CU_ASSERT_EQUAL(n, 1);
	journal_standing_free(rows, n);
	CU_ASSERT(journal_standing_end(id, &urls, now + 60, now));
	CU_ASSERT(journal_standing_add_users(id, now + 60, now));
	CU_ASSERT(journal_standing_due_look(now, &rows, &n));
	CU_ASSERT_EQUAL(n, 0);
	journal_standing_free(rows, n);
	recall_free(recall);
	strlist_free(&urls);
	journal_close();
	temp_journal_deinit(&temp);
}

int main(void)
{
	CU_pSuite suite = tests_begin("journal");

	CU_add_test(suite, "who reads for long", test_reader);
	CU_add_test(suite, "order that has ended", test_ended_order);
	return tests_run();
}
