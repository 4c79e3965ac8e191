#include <pthread.h>
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

#define ID "00000000000000000000000000000001"

static void *load(void *context)
{
	struct recall *recall = NULL;
	size_t *users = context;

	CU_ASSERT_EQUAL(journal_load(ID, &recall), JOURNAL_FOUND);
	*users = recall == NULL ? 0 : recall->count;
	recall_free(recall);
	return NULL;
}

static size_t load_elsewhere(void)
{
	pthread_t thread;
	size_t users = 0;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, load, &users), 0);
	pthread_join(thread, NULL);
	return users;
}

/* Many ask for a recall with all of its users, and nobody waits for another: it
   is as of the moment when it is asked for. */
static void test_load_beside_writers(void)
{
	struct recall *recall = recall_new();
	struct temp_journal temp;
	sqlite3 *db;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	recall_add_user(recall, "a@example.com");
	recall_add_user(recall, "b@example.com");
	add(recall, ID);
	CU_ASSERT_EQUAL(load_elsewhere(), 2);

	db = journal_lock();
	CU_ASSERT_FATAL(journal_begin(db, true));
	CU_ASSERT(journal_exec(db, "DELETE FROM verdicts WHERE pos = 1", ""));
	CU_ASSERT_EQUAL(load_elsewhere(), 2);
	CU_ASSERT(journal_end(db, true));
	CU_ASSERT_EQUAL(load_elsewhere(), 1);
	journal_unlock();
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
	CU_add_test(suite, "recall that is read while others write",
		    test_load_beside_writers);
	CU_add_test(suite, "order that has ended", test_ended_order);
	return tests_run();
}
