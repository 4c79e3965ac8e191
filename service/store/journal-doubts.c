#include <stdlib.h>

#include "alloc.h"
#include "journal-db.h"
#include "journal-doubts.h"
#include "strlist-json.h"

/* no pause is longer: a clock was set back otherwise */
#define PAUSE_MAX 120

bool journal_doubt_add(const char *url, const struct journal_stop *stop,
		       bool now)
{
	sqlite3 *db = journal_lock();
	bool ret;

	ret = journal_exec(db, now ?
		"INSERT OR REPLACE INTO doubts (url, actor, reason) "
		"VALUES (?,?,?)" :
		"INSERT OR IGNORE INTO doubts (url, actor, reason) "
		"VALUES (?,?,?)", "sss", url, stop->actor, stop->reason);
	journal_unlock();
	return ret;
}

/* There are none nearly always: nothing is written then. */
static bool has_any(sqlite3 *db)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT 1 FROM doubts");
	bool ret = journal_step(stmt) == SQLITE_ROW;

	journal_release(stmt);
	return ret;
}

static bool forget_others(sqlite3 *db, const struct strlist *urls)
{
	char *text = strlist_to_json_text(urls);
	bool ret;

	ret = journal_exec(db, "DELETE FROM doubts WHERE url NOT IN "
			   "(SELECT value FROM json_each(?))", "s", text);
	free(text);
	return ret;
}

static void read_doubt(sqlite3_stmt *stmt, struct journal_doubt *doubt)
{
	doubt->url = x_strdup(journal_text(stmt, 0));
	doubt->actor = x_strdup(journal_text(stmt, 1));
	doubt->reason = x_strdup(journal_text(stmt, 2));
	doubt->answered = sqlite3_column_int(stmt, 3) != 0;
	doubt->tries = sqlite3_column_int64(stmt, 4);
	doubt->due = sqlite3_column_int64(stmt, 5);
}

static bool
read_due(sqlite3 *db, int64_t now, struct journal_doubt **doubts,
	 size_t *count)
{
	sqlite3_stmt *stmt;
	int ret;

	stmt = journal_prepare(db, "SELECT url, actor, reason, answered, "
			       "tries, next FROM doubts WHERE next <= ?1 OR "
			       "next > ?2");
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, now);
		sqlite3_bind_int64(stmt, 2, now + PAUSE_MAX);
	}
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		*doubts = x_realloc(*doubts, (*count + 1) * sizeof(**doubts));
		read_doubt(stmt, *doubts + *count);
		(*doubts)[(*count)++].next = now;
	}
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

bool journal_doubts_due(int64_t now, const struct strlist *urls,
			struct journal_doubt **doubts_r, size_t *count_r)
{
	sqlite3 *db = journal_lock();
	bool ret;

	*doubts_r = NULL;
	*count_r = 0;
	ret = has_any(db) && forget_others(db, urls) &&
		read_due(db, now, doubts_r, count_r);
	journal_unlock();
	return ret;
}

void journal_doubts_free(struct journal_doubt *doubts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(doubts[i].url);
		free(doubts[i].actor);
		free(doubts[i].reason);
	}
	free(doubts);
}

void journal_doubt_keep(const struct journal_doubt *doubt)
{
	sqlite3 *db = journal_lock();

	(void)journal_exec(db, "UPDATE doubts SET answered = ?, tries = ?, "
			   "next = ? WHERE url = ? AND actor = ? AND "
			   "reason = ? AND next = ?", "iiisssi",
			   (int64_t)doubt->answered, doubt->tries, doubt->next,
			   doubt->url, doubt->actor, doubt->reason,
			   doubt->due);
	journal_unlock();
}

void journal_doubt_remove(const struct journal_doubt *doubt)
{
	sqlite3 *db = journal_lock();

	(void)journal_exec(db, "DELETE FROM doubts WHERE url = ? AND actor = ? "
			   "AND reason = ? AND next = ?", "sssi", doubt->url,
			   doubt->actor, doubt->reason, doubt->due);
	journal_unlock();
}
