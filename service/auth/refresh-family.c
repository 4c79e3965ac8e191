#include <stdlib.h>

#include "alloc.h"
#include "journal-db.h"
#include "refresh-family.h"

/* What an administrator of the tenant ?2 reaches: role 3 is above that, as in
   revocation_applies(). "" is any tenant, and any role. */
#define REACHED "(?2 = '' OR (tenant = ?2 AND issued_role <> 3))"

bool refresh_family_end(sqlite3 *db, const char *family, const char *login)
{
	return journal_exec(db, "DELETE FROM refresh_tokens WHERE family = ? "
			    "AND login = ? COLLATE NOCASE", "ss", family,
			    login);
}

bool refresh_family_count(sqlite3 *db, const char *family, int64_t now,
			  int64_t *count_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT count(*) FROM "
		"refresh_tokens WHERE family = ? AND access_expires > ?");
	int ret;

	journal_bind_text(stmt, 1, family);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 2, now);
	ret = journal_step(stmt);
	*count_r = ret == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	journal_release(stmt);
	return ret == SQLITE_ROW;
}

bool refresh_family_end_access(sqlite3 *db, const char *jti,
			       const char *tenant)
{
	return journal_exec(db, "DELETE FROM refresh_tokens WHERE family IN "
			    "(SELECT family FROM refresh_tokens WHERE jti = ?1 "
			    "AND " REACHED ")", "ss", jti, tenant);
}

bool refresh_family_end_login(sqlite3 *db, const char *login,
			      const char *tenant, int64_t before)
{
	return journal_exec(db, "DELETE FROM refresh_tokens WHERE "
			    "(?1 IS NULL OR login = ?1 COLLATE NOCASE) AND "
			    REACHED " AND created <= ?3", "ssi",
			    login, tenant, before);
}

static void add_access(struct refresh_family *family, const char *jti,
		       int64_t expires, bool named)
{
	if (!family->found)
		family->expires = expires;
	else if (expires == 0 || family->expires == 0)
		family->expires = 0;
	else if (expires > family->expires)
		family->expires = expires;
	family->found = true;
	if (named)
		family->named = true;
	else
		strlist_add(&family->jtis, jti);
}

bool refresh_family_find(sqlite3 *db, const char *id, const char *login,
			 int64_t now, struct refresh_family *family_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT jti, access_expires, "
		"named FROM refresh_tokens WHERE "
		"family = ? AND login = ? COLLATE NOCASE AND jti IS NOT NULL "
		"AND (used = 0 OR access_expires = 0 OR access_expires > ?)");
	int ret;

	family_r->id = x_strdup(id);
	journal_bind_text(stmt, 1, id);
	journal_bind_text(stmt, 2, login);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		add_access(family_r, journal_text(stmt, 0),
			   sqlite3_column_int64(stmt, 1),
			   sqlite3_column_int(stmt, 2) != 0);
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

void refresh_family_free(struct refresh_family *family)
{
	free(family->id);
	strlist_free(&family->jtis);
}

/* Runs a question about a name of something and a tenant, whose answer is a
   number, or 0. */
static bool ask_number(sqlite3 *db, const char *sql, const char *name,
		       const char *tenant, int64_t *number_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	int ret;

	journal_bind_text(stmt, 1, name);
	journal_bind_text(stmt, 2, tenant);
	ret = journal_step(stmt);
	*number_r = ret == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	journal_release(stmt);
	return ret == SQLITE_ROW || ret == SQLITE_DONE;
}

bool refresh_family_access(sqlite3 *db, const char *jti, const char *tenant,
			   int64_t *expires_r)
{
	return ask_number(db, "SELECT access_expires FROM refresh_tokens WHERE "
			  "jti = ?1 AND " REACHED, jti, tenant, expires_r);
}

bool refresh_family_has_login(sqlite3 *db, const char *login,
			      const char *tenant, bool *found_r)
{
	int64_t found;
	bool ret = ask_number(db, "SELECT 1 FROM refresh_tokens WHERE login = "
			      "?1 COLLATE NOCASE AND " REACHED " LIMIT 1",
			      login, tenant, &found);

	*found_r = found != 0;
	return ret;
}

bool refresh_family_find_ahead(sqlite3 *db, const char *login,
			       const char *tenant, int64_t now,
			       struct strlist *jtis)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT jti FROM "
		"refresh_tokens WHERE "
		"(?1 IS NULL OR login = ?1 COLLATE NOCASE) AND "
		REACHED " AND created > ?3 AND jti IS NOT NULL");
	int ret;

	journal_bind_text(stmt, 1, login);
	journal_bind_text(stmt, 2, tenant);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(jtis, journal_text(stmt, 0));
	journal_release(stmt);
	return ret == SQLITE_DONE;
}
