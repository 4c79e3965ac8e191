#include <pthread.h>
#include <time.h>

#include "journal-late.h"
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

static void add_copies(const char *username, int64_t copies, void *context)
{
	int64_t *all = context;

	all[username[0] - 'a'] += copies;
}

/* What nodes have told counts, too, and once, whether the journal has got it by
   now or not. */
static void test_late_users(void)
{
	static const char id[] = "00000000000000000000000000000001";
	struct journal_late lates[] = {
		{ .username = "a", .copies = 1, .line = "1 http://node" },
		{ .username = "a", .copies = 2, .line = "2 http://node" },
		{ .username = "b", .copies = 4, .line = "3 http://node" },
		{ .username = "c", .copies = 8, .line = "4 http://node" },
	};
	const size_t count = sizeof(lates) / sizeof(lates[0]);
	struct temp_journal temp;
	size_t i, had, added, left;
	int64_t copies;

	for (i = 0; i < count; i++) {
		strcpy(lates[i].recall, id);
		lates[i].date = "2026-01-31T12:34:56Z";
		lates[i].mailboxes = "INBOX";
	}
	/* another recall's */
	lates[3].recall[0] = '1';
	temp_journal_init(&temp);
	temp_journal_open(&temp);
	for (had = 0; had <= count; had++) {
		int64_t all[3] = { 0, 0, 0 };

		CU_ASSERT(journal_late_add(lates, had, count, &added, &copies,
					   &left));
		CU_ASSERT_EQUAL(added, had > 0 ? 1 : 0);
		CU_ASSERT(journal_late_users(id, lates, count, add_copies,
					     all));
		CU_ASSERT_EQUAL(all[0], 3);
		CU_ASSERT_EQUAL(all[1], 4);
		CU_ASSERT_EQUAL(all[2], 0);
	}
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
	CU_add_test(suite, "who had late copies", test_late_users);
	return tests_run();
}
