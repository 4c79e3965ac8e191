#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal-db.h"
#include "journal-late.h"
#include "strlist-json.h"

/* The one number that a statement answers, 0 if there is none. */
static bool get_number(const char *sql, const char *text, int64_t *number_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	int ret;

	journal_bind_text(stmt, 1, text);
	ret = journal_step(stmt);
	*number_r = ret == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW || ret == SQLITE_DONE;
}

bool journal_late_cursor(const char *url, int64_t *since_r)
{
	return get_number("SELECT since FROM late_cursors WHERE url = ?", url,
			  since_r);
}

bool journal_late_count(const char *recall, int64_t *copies_r)
{
	return get_number("SELECT sum(copies) FROM late WHERE recall = ?",
			  recall, copies_r);
}

bool journal_late_set_cursor(const char *url, int64_t since)
{
	bool ret = journal_exec(journal_lock(), "INSERT OR REPLACE INTO "
		"late_cursors (url, since) VALUES (?, ?)", "si", url, since);

	journal_unlock();
	return ret;
}

bool journal_late_set_waiting(const char *url, bool waiting)
{
	bool ret = journal_exec(journal_lock(), waiting ?
		"INSERT INTO late_cursors (url, since, waiting) "
		"VALUES (?, 0, 1) ON CONFLICT (url) DO UPDATE SET waiting = 1" :
		"UPDATE late_cursors SET waiting = 0 WHERE url = ? AND "
		"waiting = 1", "s", url);

	journal_unlock();
	return ret;
}

bool journal_late_waiting(const char *url, int64_t *count_r)
{
	return url == NULL ?
		get_number("SELECT count(*) FROM late_cursors WHERE "
			   "waiting = 1 AND ? IS NULL", NULL, count_r) :
		get_number("SELECT count(*) FROM late_cursors WHERE "
			   "waiting = 1 AND url = ?", url, count_r);
}

bool journal_late_set_nodes(const struct strlist *urls)
{
	char *json = strlist_to_json_text(urls);
	bool ret = journal_exec(journal_lock(), "UPDATE OR IGNORE late SET "
		"line = substr(line, 1, instr(line, ' ') - 1) WHERE "
		"instr(line, ' ') > 0 AND "
		"substr(line, instr(line, ' ') + 1) NOT IN "
		"(SELECT value FROM json_each(?))", "s", json);

	journal_unlock();
	free(json);
	return ret;
}

/* A node that has another URL by now tells of all once more: then it's a line
   of one that is not there any more. */
static bool is_known(sqlite3 *db, const struct journal_late *late)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT 1 FROM late WHERE "
		"recall = ?1 AND username = ?2 AND date = ?3 AND "
		"line IN (?4, substr(?4, 1, instr(?4, ' ') - 1))");
	bool ret;

	journal_bind_text(stmt, 1, late->recall);
	journal_bind_text(stmt, 2, late->username);
	journal_bind_text(stmt, 3, late->date);
	journal_bind_text(stmt, 4, late->line);
	ret = journal_step(stmt) == SQLITE_ROW;
	journal_release(stmt);
	return ret;
}

static bool add(sqlite3 *db, const struct journal_late *late)
{
	return journal_exec(db, "INSERT INTO late (recall, username, "
			    "date, line, copies, mailboxes, seen) "
			    "VALUES (?,?,?,?,?,?,?)", "ssssisi", late->recall,
			    late->username, late->date, late->line,
			    late->copies, late->mailboxes,
			    (int64_t)time(NULL));
}

static int
late_users_read(sqlite3 *db, const char *recall, journal_late_user_t *callback,
		void *context)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT username, "
		"sum(copies) FROM late WHERE recall = ? GROUP BY username");
	int ret;

	journal_bind_text(stmt, 1, recall);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		callback(journal_text(stmt, 0), sqlite3_column_int64(stmt, 1),
			 context);
	journal_release(stmt);
	return ret;
}

bool journal_late_users(const char *recall, const struct journal_late *told,
			size_t count, journal_late_user_t *callback,
			void *context)
{
	sqlite3 *db = journal_lock();
	const bool ret = late_users_read(db, recall, callback, context) ==
		SQLITE_DONE;
	size_t i;

	for (i = 0; ret && i < count; i++) {
		if (strcmp(told[i].recall, recall) == 0 &&
		    !is_known(db, &told[i]))
			callback(told[i].username, told[i].copies, context);
	}
	journal_unlock();
	return ret;
}

bool journal_late_add(const struct journal_late *lates, size_t count,
		      size_t max, size_t *added_r, int64_t *copies_r,
		      size_t *left_r)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, false);
	size_t i;

	*added_r = 0;
	*copies_r = 0;
	for (i = 0; ret && i < count; i++) {
		if (is_known(db, &lates[i]))
			continue;
		if (*added_r == max)
			break;
		ret = add(db, &lates[i]);
		*added_r += 1;
		*copies_r += lates[i].copies;
	}
	*left_r = count - i;
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

int journal_late_next(const struct strlist *but, struct journal_late *late_r)
{
	char *json = strlist_to_json_text(but);
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT recall, username, "
		"date, line, copies, mailboxes, seen FROM late WHERE told = 0 "
		"AND recall NOT IN (SELECT value FROM json_each(?)) "
		"ORDER BY seen, date LIMIT 1");
	int ret;

	journal_bind_text(stmt, 1, json);
	free(json);
	ret = journal_step(stmt);
	memset(late_r, 0, sizeof(*late_r));
	if (ret == SQLITE_ROW) {
		snprintf(late_r->recall, sizeof(late_r->recall), "%s",
			 journal_text(stmt, 0));
		late_r->username = journal_strdup(stmt, 1);
		late_r->date = journal_strdup(stmt, 2);
		late_r->line = journal_strdup(stmt, 3);
		late_r->copies = sqlite3_column_int64(stmt, 4);
		late_r->mailboxes = journal_strdup(stmt, 5);
		late_r->seen = sqlite3_column_int64(stmt, 6);
	}
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW ? 1 : ret == SQLITE_DONE ? 0 : -1;
}

void journal_late_clear(struct journal_late *late)
{
	free(late->username);
	free(late->date);
	free(late->line);
	free(late->mailboxes);
	memset(late, 0, sizeof(*late));
}

bool journal_late_told(const struct journal_late *late)
{
	bool ret = journal_exec(journal_lock(), "UPDATE late SET told = 1 "
		"WHERE recall = ? AND username = ? AND date = ? AND line = ?",
		"ssss", late->recall, late->username, late->date, late->line);

	journal_unlock();
	return ret;
}
