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

/* The access tokens of the session that may be good still. */
static bool read_tokens(const struct identity *identity, const char *id,
			int64_t now, struct strlist *tokens)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt;
	int ret;

	stmt = journal_prepare(db, "SELECT jti FROM refresh_tokens WHERE "
		"family = ? AND login = ? COLLATE NOCASE AND jti IS NOT NULL "
		"AND (used = 0 OR access_expires = 0 OR access_expires > ?)");
	journal_bind_text(stmt, 1, id);
	journal_bind_text(stmt, 2, identity->login);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(tokens, journal_text(stmt, 0));
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_DONE;
}

enum session_result
session_end(const struct identity *identity, const char *id, int64_t now)
{
	enum session_result result = SESSION_ABSENT;
	struct revocation revocation = { .kind = REVOKE_TOKEN, .tenant = "" };
	struct strlist tokens;
	size_t i;

	/* a token that is used just now brings another one */
	do {
		memset(&tokens, 0, sizeof(tokens));
		if (!read_tokens(identity, id, now, &tokens))
			result = SESSION_FAILED;
		else if (tokens.count > 0)
			result = SESSION_ENDED;
		/* with the first one all refresh tokens end */
		for (i = 0; i < tokens.count && result == SESSION_ENDED; i++) {
			revocation.subject = tokens.items[i];
			if (!revocation_add(&revocation, now))
				result = SESSION_FAILED;
		}
		i = tokens.count;
		strlist_free(&tokens);
	} while (i > 0 && result == SESSION_ENDED);
	return result;
}
