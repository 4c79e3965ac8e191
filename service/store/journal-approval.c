#include "journal-approval.h"
#include "journal-db.h"
#include "journal-visible.h"

#define WITHIN_HOUR "created > ?3 - 3600 AND created < ?3 + 3600 AND "

/* Reads ids until the end. Gives the statement back. */
static bool read_ids(sqlite3_stmt *stmt, struct strlist *ids)
{
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(ids, journal_text(stmt, 0));
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

bool journal_pending(const struct identity *identity, struct strlist *ids)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt;
	bool ret;

	stmt = journal_prepare(db, "SELECT id FROM recalls WHERE "
		"approval = 'pending' AND " JOURNAL_VISIBLE_SQL
		" ORDER BY created, rowid");
	journal_visible_bind(stmt, identity);
	ret = read_ids(stmt, ids);
	journal_unlock();
	return ret;
}

bool journal_decide(const struct recall *recall, bool *claimed_r)
{
	sqlite3 *db = journal_lock();
	bool ret;

	*claimed_r = false;
	ret = journal_begin(db, true);
	if (ret) {
		ret = journal_exec(db, "UPDATE recalls SET approval = ?, "
			"approver = ?, decision = ?, decided = ?, finished = ? "
			"WHERE id = ? AND approval = 'pending'", "sssiis",
			recall_approval_name(recall->approval),
			recall->approver, recall->decision, recall->decided,
			recall->approval == RECALL_APPROVED ? (int64_t)0 :
			recall->decided, recall->id);
		*claimed_r = ret && sqlite3_changes(db) > 0;
	}
	ret = journal_end(db, ret);
	journal_unlock();
	if (!ret)
		*claimed_r = false;
	return ret;
}

bool journal_overdue(int64_t before, struct strlist *ids)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT id FROM recalls WHERE "
		"approval = 'pending' AND created < ?");
	bool ret;

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, before);
	ret = read_ids(stmt, ids);
	journal_unlock();
	return ret;
}

int64_t journal_recalled_users(const struct identity *actor, int64_t now)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT TOTAL(users) FROM "
		"recalls WHERE actor = ?1 COLLATE NOCASE AND tenant = ?2 AND "
		WITHIN_HOUR "cmd = 'expunge' AND dry_run = 0 AND "
		"approval IS NULL");
	int64_t users = -1;

	journal_bind_text(stmt, 1, actor->login);
	journal_bind_text(stmt, 2, actor->tenant);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	if (journal_step(stmt) == SQLITE_ROW)
		users = sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return users;
}

bool journal_nth_recall(const struct identity *actor, int64_t now,
			int64_t max, int64_t *created_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT created FROM recalls "
		"WHERE actor = ?1 COLLATE NOCASE AND tenant = ?2 AND "
		WITHIN_HOUR "cmd = 'expunge' AND dry_run = 0 AND "
		"coalesce(approval, '') NOT IN ('rejected', 'expired') "
		"ORDER BY created DESC LIMIT 1 OFFSET ?4");
	int ret;

	*created_r = 0;
	journal_bind_text(stmt, 1, actor->login);
	journal_bind_text(stmt, 2, actor->tenant);
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 3, now);
		sqlite3_bind_int64(stmt, 4, max - 1);
	}
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW)
		*created_r = sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW || ret == SQLITE_DONE;
}
