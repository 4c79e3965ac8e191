#include <string.h>

#include "journal-db.h"
#include "revocation.h"
#include "session.h"
#include "strlist.h"

static json_t *read_session(sqlite3_stmt *stmt)
{
	const char *address = journal_text(stmt, 4);

	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:b}",
		"id", journal_text(stmt, 0),
		"created", (json_int_t)sqlite3_column_int64(stmt, 1),
		"used", (json_int_t)sqlite3_column_int64(stmt, 2),
		"expires", (json_int_t)sqlite3_column_int64(stmt, 3),
		"address", address == NULL ? "" : address,
		"current", sqlite3_column_int(stmt, 5));
}

json_t *session_list(const struct identity *identity, int64_t now)
{
	sqlite3 *db = journal_lock();
	json_t *sessions = json_array();
	sqlite3_stmt *stmt;
	int ret;

	/* the one that is not used yet came last */
	stmt = journal_prepare(db, "SELECT family, min(created), max(created), "
		"max(expires), max(CASE used WHEN 0 THEN address END), "
		"coalesce(max(jti = ?2), 0) "
		"FROM refresh_tokens WHERE login = ?1 COLLATE NOCASE "
		"GROUP BY family HAVING min(used) = 0 AND max(expires) > ?3 "
		"ORDER BY max(created) DESC, family");
	journal_bind_text(stmt, 1, identity->login);
	journal_bind_text(stmt, 2, identity->jti);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		json_array_append_new(sessions, read_session(stmt));
	journal_release(stmt);
	journal_unlock();
	if (ret == SQLITE_DONE)
		return sessions;
	json_decref(sessions);
	return NULL;
}

enum session_result
session_end(const struct identity *identity, const char *id, int64_t now)
{
	bool found;

	if (!revocation_add_session(identity->login, id, now, &found))
		return SESSION_FAILED;
	return found ? SESSION_ENDED : SESSION_ABSENT;
}
