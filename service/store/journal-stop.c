#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "journal-db.h"
#include "journal-stop.h"

bool journal_load_stop(struct journal_stop *stop_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt;
	int ret;

	memset(stop_r, 0, sizeof(*stop_r));
	stmt = journal_prepare(db, "SELECT actor, reason, since FROM stop");
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW) {
		stop_r->actor = x_strdup(journal_text(stmt, 0));
		stop_r->reason = x_strdup(journal_text(stmt, 1));
		stop_r->since = sqlite3_column_int64(stmt, 2);
	}
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW || ret == SQLITE_DONE;
}

void journal_stop_free(struct journal_stop *stop)
{
	free(stop->actor);
	free(stop->reason);
}

/* Runs the statement in a transaction that is on the disk when it has ended. */
static bool promise(const char *sql, const struct journal_stop *stop)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, true);

	if (ret && stop != NULL)
		ret = journal_exec(db, sql, "ssi", stop->actor, stop->reason,
				   stop->since);
	else if (ret)
		ret = journal_exec(db, sql, "");
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

bool journal_add_stop(const struct journal_stop *stop)
{
	return promise("INSERT OR IGNORE INTO stop (id, actor, reason, since) "
		       "VALUES (1, ?, ?, ?)", stop);
}

bool journal_remove_stop(void)
{
	return promise("DELETE FROM stop", NULL);
}
