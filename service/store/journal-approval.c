#include <stdlib.h>

#include "journal-approval.h"
#include "journal-db.h"
#include "journal-visible.h"
#include "strlist-json.h"

/* Recalls of the last hour by the person of whom ?1 has all names. */
#define LATELY "tenant = ?2 AND created > ?3 - 3600 AND " \
	"created < ?3 + 3600 AND (" \
	"actor COLLATE NOCASE IN (SELECT value FROM json_each(?1)) OR " \
	"person COLLATE NOCASE IN (SELECT value FROM json_each(?1))) AND " \
	"cmd = 'expunge' AND dry_run = 0 AND "

static void bind_person(sqlite3_stmt *stmt, const struct recall *recall)
{
	struct strlist names = { NULL, 0, 0 };
	char *text;
	size_t i;

	strlist_add(&names, recall->actor.login);
	for (i = 0; i < recall->names.count; i++)
		strlist_add(&names, recall->names.items[i]);
	text = strlist_to_json_text(&names);
	journal_bind_text(stmt, 1, text);
	journal_bind_text(stmt, 2, recall->actor.tenant);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, recall->created);
	strlist_free(&names);
	free(text);
}

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

int64_t journal_recalled_users(const struct recall *recall)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT TOTAL(users) FROM "
		"recalls WHERE " LATELY "approval IS NULL");
	int64_t users = -1;

	bind_person(stmt, recall);
	if (journal_step(stmt) == SQLITE_ROW)
		users = sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return users;
}

bool journal_nth_recall(const struct recall *recall, int64_t max,
			int64_t *created_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT created FROM recalls "
		"WHERE " LATELY
		"coalesce(approval, '') NOT IN ('rejected', 'expired') "
		"ORDER BY created DESC LIMIT 1 OFFSET ?4");
	int ret;

	*created_r = 0;
	bind_person(stmt, recall);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 4, max - 1);
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW)
		*created_r = sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW || ret == SQLITE_DONE;
}
