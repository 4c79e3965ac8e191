#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "journal-db.h"
#include "journal-standing.h"
#include "strlist-json.h"

static const char *const names[] = {
	[STANDING_MISSING] = "missing",
	[STANDING_LOOK] = "look",
	[STANDING_STANDS] = "stands",
	[STANDING_ENDING] = "ending",
	[STANDING_ENDED] = "ended",
};
#define STATES_COUNT (sizeof(names) / sizeof(names[0]))

/* Pauses get longer with each try, and the first is for whoever hands it over:
   if it is longer than that, the clock was set back. */
#define IS_DUE "until > ?1 AND (next <= ?1 OR " \
	"next > ?1 + max(20, 1 << min(tries, 20))) "

/* Where the columns of a row are read from. */
#define ROW_COLUMNS "recall, url, state, since, until, error"

/* A state of a later version is nothing to be done. */
static enum standing_state parse_state(const char *name)
{
	size_t i;

	for (i = 0; i < STATES_COUNT; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum standing_state)i;
	}
	return STANDING_ENDED;
}

/* Reads the rows until the end, and gives the statement back. */
static bool read_rows(sqlite3_stmt *stmt, struct journal_standing **rows_r,
		      size_t *count_r)
{
	struct journal_standing *rows = NULL, *row;
	size_t count = 0;
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		rows = x_realloc(rows, (count + 1) * sizeof(*rows));
		row = &rows[count++];
		snprintf(row->recall, sizeof(row->recall), "%s",
			 journal_text(stmt, 0));
		row->url = x_strdup(journal_text(stmt, 1));
		row->state = parse_state(journal_text(stmt, 2));
		row->since = sqlite3_column_int64(stmt, 3);
		row->until = sqlite3_column_int64(stmt, 4);
		row->error = journal_strdup(stmt, 5);
	}
	journal_release(stmt);
	*rows_r = rows;
	*count_r = count;
	return ret == SQLITE_DONE;
}

void journal_standing_free(struct journal_standing *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(rows[i].url);
		free(rows[i].error);
	}
	free(rows);
}

bool journal_standing_load(const char *recall, struct journal_standing **rows_r,
			   size_t *count_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT " ROW_COLUMNS
		" FROM standing WHERE recall = ? AND url <> ''");
	bool ret;

	journal_bind_text(stmt, 1, recall);
	ret = read_rows(stmt, rows_r, count_r);
	journal_unlock();
	return ret;
}

static bool read_due(const char *sql, int64_t now,
		     struct journal_standing **rows_r, size_t *count_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	bool ret;

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, now);
	ret = read_rows(stmt, rows_r, count_r);
	journal_unlock();
	return ret;
}

bool journal_standing_due(int64_t now, struct journal_standing **rows_r,
			  size_t *count_r)
{
	/* SQLite takes the other columns from the row of min() */
	return read_due("SELECT " ROW_COLUMNS ", min(next) FROM standing WHERE "
			IS_DUE
			"AND state IN ('missing', 'ending') GROUP BY url", now,
			rows_r, count_r);
}

bool journal_standing_due_look(int64_t now, struct journal_standing **rows_r,
			       size_t *count_r)
{
	return read_due("SELECT " ROW_COLUMNS " FROM standing WHERE "
			IS_DUE "AND state = 'look' ORDER BY next LIMIT 1", now,
			rows_r, count_r);
}

bool journal_standing_until(const char *recall, int64_t *until_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT max(until), "
		"max(state IN ('ending', 'ended')) FROM standing WHERE "
		"recall = ?");
	bool ret;

	journal_bind_text(stmt, 1, recall);
	ret = journal_step(stmt) == SQLITE_ROW;
	if (ret)
		*until_r = sqlite3_column_int(stmt, 1) != 0 ? -1 :
			sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return ret;
}

static bool add(sqlite3 *db, const char *recall, const char *url,
		enum standing_state state, int64_t until, int64_t next)
{
	return journal_exec(db, "INSERT OR IGNORE INTO standing (recall, url, "
			    "state, since, until, next) VALUES (?,?,?,?,?,?)",
			    "sssiii", recall, url, names[state],
			    (int64_t)time(NULL), until, next);
}

bool journal_standing_add(const char *recall, const struct strlist *urls,
			  int64_t until, int64_t next)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, true);
	size_t i;

	for (i = 0; ret && i < urls->count; i++)
		ret = add(db, recall, urls->items[i], STANDING_MISSING, until,
			  next);
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

enum journal_result
journal_standing_settle(const struct journal_standing *row,
			enum standing_state state)
{
	sqlite3 *db = journal_lock();
	enum journal_result ret = JOURNAL_FAILED;

	if (journal_exec(db, "UPDATE standing SET state = ?, since = ?, "
			 "tries = 0, next = 0, error = NULL WHERE "
			 "recall = ? AND url = ? AND state = ?", "sisss",
			 names[state], (int64_t)time(NULL), row->recall,
			 row->url, names[row->state]))
		ret = sqlite3_changes(db) > 0 ? JOURNAL_FOUND : JOURNAL_ABSENT;
	journal_unlock();
	return ret;
}

bool journal_standing_failed(const struct journal_standing *row,
			     int64_t pause_max, bool unreached,
			     const char *error)
{
	bool ret = journal_exec(journal_lock(), "UPDATE standing SET "
		"next = ? + min(?, 1 << min(tries, 20)), tries = tries + 1, "
		"error = ? WHERE url = ? AND (recall = ? OR ?) AND "
		"state IN ('missing', 'look', 'ending')", "iisssi",
		(int64_t)time(NULL), pause_max, error, row->url, row->recall,
		(int64_t)unreached);

	journal_unlock();
	return ret;
}

void journal_standing_wake(const char *url, const char *recall)
{
	(void)journal_exec(journal_lock(), "UPDATE standing SET next = 0 WHERE "
		"(url = ? OR (url = '' AND recall = ?)) AND tries > 0 AND "
		"next > 0 AND state IN ('missing', 'look', 'ending')", "ss",
		url, recall);
	journal_unlock();
}

bool journal_standing_again(const char *recall, int64_t next)
{
	bool ret = journal_exec(journal_lock(), "UPDATE standing SET "
		"state = 'missing', since = ?, next = ?, tries = 0 WHERE "
		"recall = ? AND url <> '' AND state IN ('look', 'stands')",
		"iis", (int64_t)time(NULL), next, recall);

	journal_unlock();
	return ret;
}

bool journal_standing_has_aliases(const char *recall)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT 1 FROM verdicts WHERE "
		"recall = ? AND mailbox_user <> email LIMIT 1");
	bool ret;

	journal_bind_text(stmt, 1, recall);
	ret = journal_step(stmt) == SQLITE_ROW;
	journal_release(stmt);
	journal_unlock();
	return ret;
}

bool journal_standing_add_users(const char *recall, int64_t until, int64_t next)
{
	bool ret = journal_exec(journal_lock(), "INSERT OR REPLACE INTO "
		"standing (recall, url, state, since, until, next) "
		"SELECT ?1, '', 'look', ?2, ?3, ?4 WHERE NOT EXISTS "
		"(SELECT 1 FROM standing WHERE recall = ?1 AND "
		"state IN ('ending', 'ended'))", "siii", recall,
		(int64_t)time(NULL), until, next);

	journal_unlock();
	return ret;
}

void journal_standing_find_users(void)
{
	(void)journal_exec(journal_lock(), "INSERT OR IGNORE INTO standing "
		"(recall, url, state, since, until, next) "
		"SELECT recall, '', 'look', ?, max(until), 0 FROM standing "
		"JOIN recalls ON id = recall WHERE finished > 0 "
		"AND everyone = 0 AND EXISTS (SELECT 1 FROM verdicts WHERE "
		"recall = id AND status = 'error') GROUP BY recall "
		"HAVING NOT max(state IN ('ending', 'ended'))", "i",
		(int64_t)time(NULL));
	journal_unlock();
}

bool journal_standing_remove_users(const char *recall)
{
	bool ret = journal_exec(journal_lock(), "DELETE FROM standing WHERE "
		"recall = ? AND url = ''", "s", recall);

	journal_unlock();
	return ret;
}

bool journal_standing_end(const char *recall, const struct strlist *urls,
			  int64_t until, int64_t next)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, true);
	size_t i;

	ret = ret && journal_exec(db, "DELETE FROM standing WHERE recall = ? "
				  "AND url = ''", "s", recall) &&
	      journal_exec(db, "UPDATE standing SET state = 'ending', "
			   "since = ?, next = ?, tries = 0, error = NULL WHERE "
			   "recall = ?", "iis", (int64_t)time(NULL), next,
			   recall);
	for (i = 0; ret && i < urls->count; i++)
		ret = add(db, recall, urls->items[i], STANDING_ENDING, until,
			  next);
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

void journal_standing_forget(const char *recall)
{
	(void)journal_exec(journal_lock(), "DELETE FROM standing WHERE "
			   "recall = ? AND recall NOT IN (SELECT id FROM "
			   "recalls)", "s", recall);
	journal_unlock();
}

void journal_standing_expire(int64_t now)
{
	/* a recall that goes on must not begin a new one */
	(void)journal_exec(journal_lock(), "DELETE FROM standing WHERE "
		"until <= ? AND NOT EXISTS (SELECT 1 FROM recalls WHERE "
		"id = recall AND finished = 0)", "i", now);
	journal_unlock();
}

static bool add_node(sqlite3 *db, const char *url, int64_t now)
{
	return journal_exec(db, "INSERT OR IGNORE INTO standing (recall, url, "
		"state, since, until, next) SELECT recall, ?1, "
		"CASE WHEN max(state IN ('ending', 'ended')) THEN 'ending' "
		"ELSE 'missing' END, ?2, max(until), 0 FROM standing WHERE "
		"url <> '' AND until > ?2 GROUP BY recall", "si", url, now);
}

/* Takes away those that are none of these. */
static bool remove_nodes(sqlite3 *db, const struct strlist *urls)
{
	char *json = NULL;
	bool ret;

	json = strlist_to_json_text(urls);
	ret = journal_exec(db, "DELETE FROM standing WHERE url <> '' AND "
		"url NOT IN (SELECT value FROM json_each(?))", "s", json);
	free(json);
	return ret;
}

bool journal_standing_set_nodes(const struct strlist *urls, int64_t now)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, false);
	size_t i;

	for (i = 0; ret && i < urls->count; i++)
		ret = add_node(db, urls->items[i], now);
	ret = journal_end(db, ret && remove_nodes(db, urls));
	journal_unlock();
	return ret;
}
