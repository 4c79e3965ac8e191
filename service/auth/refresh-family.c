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

/* Adds the names that the statement finds for these three. */
static bool find_jtis(sqlite3 *db, const char *sql, const char *first,
		      const char *second, int64_t now, struct strlist *jtis)
{
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	int ret;

	journal_bind_text(stmt, 1, first);
	journal_bind_text(stmt, 2, second);
	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 3, now);
	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(jtis, journal_text(stmt, 0));
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

bool refresh_family_find(sqlite3 *db, const char *family, const char *login,
			 int64_t now, struct strlist *jtis)
{
	return find_jtis(db, "SELECT jti FROM refresh_tokens WHERE "
		"family = ? AND login = ? COLLATE NOCASE AND jti IS NOT NULL "
		"AND (used = 0 OR access_expires = 0 OR access_expires > ?)",
		family, login, now, jtis);
}

bool refresh_family_find_ahead(sqlite3 *db, const char *login,
			       const char *tenant, int64_t now,
			       struct strlist *jtis)
{
	return find_jtis(db, "SELECT jti FROM refresh_tokens WHERE "
		"(?1 IS NULL OR login = ?1 COLLATE NOCASE) AND "
		REACHED " AND created > ?3 AND "
		"jti IS NOT NULL", login, tenant, now, jtis);
}
