#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recall-tenant-name.h"
#include "alloc.h"
#include "journal-db.h"
#include "journal-visible.h"
#include "log.h"

#define BUSY_TIMEOUT_MS 5000

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS recalls ("
	" id TEXT PRIMARY KEY, created INTEGER NOT NULL,"
	" finished INTEGER NOT NULL DEFAULT 0, messageid TEXT NOT NULL,"
	" force INTEGER NOT NULL, notify INTEGER NOT NULL,"
	" dry_run INTEGER NOT NULL, reason TEXT NOT NULL,"
	" actor TEXT NOT NULL, tenant TEXT NOT NULL, role INTEGER NOT NULL,"
	" source TEXT NOT NULL, senders TEXT NOT NULL,"
	" users INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS recalls_created ON recalls(created);"
	"CREATE INDEX IF NOT EXISTS recalls_open ON recalls(created)"
	" WHERE finished = 0;"
	"CREATE TABLE IF NOT EXISTS verdicts ("
	" recall TEXT NOT NULL REFERENCES recalls(id) ON DELETE CASCADE,"
	" pos INTEGER NOT NULL, email TEXT NOT NULL,"
	" verdict INTEGER NOT NULL DEFAULT -1, copies INTEGER NOT NULL"
	" DEFAULT 0, notice TEXT, mailboxes TEXT, error TEXT,"
	" PRIMARY KEY (recall, pos)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS refresh_tokens ("
	" hash TEXT PRIMARY KEY, family TEXT NOT NULL, login TEXT NOT NULL,"
	" expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0)"
	" WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS refresh_families"
	" ON refresh_tokens(family);"
	/* what versions before wrote of who had no tenant */
	"UPDATE OR IGNORE recalls SET tenant = '" RECALL_TENANT_DEFAULT "'"
	" WHERE tenant = '';";

/* Receivers know a webhook by its id, those, too, that came of a journal in
   whose place an older copy of it is now. The sequence is behind while a
   statement makes several. */
#define NEW_WEBHOOK_ID "max(1000 * CAST(strftime('%s') AS INTEGER)," \
	" 1 + ifnull((SELECT max(id) FROM webhooks), 0)," \
	" 1 + ifnull((SELECT seq FROM sqlite_sequence" \
	" WHERE name = 'webhooks'), 0))"

/* What came later, by the version of the file. */
static const char *const upgrades[] = {
	"ALTER TABLE recalls ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recalls ADD COLUMN target TEXT;"
	"ALTER TABLE recalls ADD COLUMN query TEXT;"
	"ALTER TABLE verdicts ADD COLUMN expected INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE recalls ADD COLUMN key TEXT;"
	"CREATE UNIQUE INDEX recalls_key ON recalls"
	"(key, actor COLLATE NOCASE, tenant) WHERE key IS NOT NULL;",
	"CREATE TABLE revocations ("
	" kind TEXT NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL,"
	" before INTEGER NOT NULL, made INTEGER NOT NULL,"
	" PRIMARY KEY (kind, subject, tenant)) WITHOUT ROWID;"
	"ALTER TABLE refresh_tokens ADD COLUMN tenant TEXT;"
	"ALTER TABLE refresh_tokens ADD COLUMN jti TEXT;"
	"ALTER TABLE refresh_tokens ADD COLUMN created INTEGER NOT NULL"
	" DEFAULT 0;"
	"CREATE INDEX refresh_access ON refresh_tokens(jti);",
	/* names in the place of numbers that are nobody else's business, as
	   they were then */
	"ALTER TABLE recalls ADD COLUMN cmd TEXT NOT NULL DEFAULT 'expunge';"
	"UPDATE recalls SET cmd = 'restore' WHERE kind = 1;"
	"ALTER TABLE recalls DROP COLUMN kind;"
	"ALTER TABLE verdicts ADD COLUMN status TEXT;"
	"UPDATE verdicts SET status = CASE verdict WHEN 0 THEN 'expunged'"
	" WHEN 1 THEN 'read' WHEN 2 THEN 'not_found' WHEN 3 THEN 'not_sender'"
	" WHEN 4 THEN 'no_user' WHEN 5 THEN 'forbidden' WHEN 6 THEN 'error'"
	" WHEN 7 THEN 'would_expunge' WHEN 8 THEN 'already_recalled'"
	" WHEN 9 THEN 'restored' END;"
	"ALTER TABLE verdicts DROP COLUMN verdict;",
	"ALTER TABLE recalls ADD COLUMN verify_headers INTEGER NOT NULL"
	" DEFAULT 0;"
	"ALTER TABLE verdicts ADD COLUMN mailbox_user TEXT;"
	"ALTER TABLE verdicts ADD COLUMN searched TEXT;",
	"ALTER TABLE verdicts ADD COLUMN present INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE recalls ADD COLUMN approval TEXT;"
	"ALTER TABLE recalls ADD COLUMN approver TEXT;"
	"ALTER TABLE recalls ADD COLUMN decision TEXT;"
	"ALTER TABLE recalls ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX recalls_pending ON recalls(created)"
	" WHERE approval = 'pending';"
	"CREATE INDEX recalls_actor ON recalls(actor COLLATE NOCASE, created);",
	"ALTER TABLE refresh_tokens ADD COLUMN address TEXT;"
	"ALTER TABLE refresh_tokens ADD COLUMN access_expires INTEGER NOT NULL"
	" DEFAULT 0;"
	"CREATE INDEX refresh_logins ON refresh_tokens(login COLLATE NOCASE);",
	"CREATE TABLE stop (id INTEGER PRIMARY KEY CHECK (id = 1),"
	" actor TEXT NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL);",
	"CREATE TABLE webhooks (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" recall TEXT NOT NULL, event TEXT NOT NULL,"
	" created INTEGER NOT NULL DEFAULT (CAST(strftime('%s') AS INTEGER)),"
	" tries INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX webhooks_next ON webhooks(next);"
	"CREATE TRIGGER recall_pending AFTER INSERT ON recalls"
	" WHEN NEW.approval = 'pending' BEGIN INSERT INTO webhooks"
	" (recall, event) VALUES (NEW.id, 'pending_approval'); END;"
	"CREATE TRIGGER recall_finished AFTER UPDATE OF finished ON recalls"
	" WHEN OLD.finished = 0 AND NEW.finished > 0 AND NEW.dry_run = 0"
	" BEGIN INSERT INTO webhooks (recall, event)"
	" VALUES (NEW.id, 'finished'); END;",
	"ALTER TABLE refresh_tokens ADD COLUMN role INTEGER NOT NULL"
	" DEFAULT 0;",
	/* words with spaces in between; a list is JSON now, as that of a query
	   was before */
	"UPDATE recalls SET senders = '[\"' || replace(replace(replace("
	"trim(senders), '\\', '\\\\'), '\"', '\\\"'), ' ', '\",\"') || '\"]'"
	" WHERE senders <> '';"
	"UPDATE recalls SET senders = '[]' WHERE senders = '';",
	"ALTER TABLE verdicts ADD COLUMN kept_until INTEGER NOT NULL"
	" DEFAULT 0;",
	"ALTER TABLE recalls ADD COLUMN stand INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE recalls ADD COLUMN everyone INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE nodes ("
	" recall TEXT NOT NULL REFERENCES recalls(id) ON DELETE CASCADE,"
	" pos INTEGER NOT NULL, name TEXT NOT NULL, urls TEXT NOT NULL,"
	" cursor TEXT, state TEXT NOT NULL, down_since INTEGER NOT NULL,"
	" looked INTEGER NOT NULL, error TEXT,"
	" PRIMARY KEY (recall, pos)) WITHOUT ROWID;",
	/* orders and what they take outlive the recall, and some are of none of
	   ours */
	"CREATE TABLE standing (recall TEXT NOT NULL, url TEXT NOT NULL,"
	" state TEXT NOT NULL, since INTEGER NOT NULL,"
	" until INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
	" next INTEGER NOT NULL, error TEXT,"
	" PRIMARY KEY (recall, url)) WITHOUT ROWID;"
	"CREATE INDEX standing_next ON standing(next)"
	" WHERE state IN ('missing', 'look', 'ending');"
	"CREATE TABLE late (recall TEXT NOT NULL, username TEXT NOT NULL,"
	" date TEXT NOT NULL, line TEXT NOT NULL, copies INTEGER NOT NULL,"
	" mailboxes TEXT NOT NULL, seen INTEGER NOT NULL,"
	" told INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (recall, username, date, line)) WITHOUT ROWID;"
	"CREATE INDEX late_untold ON late(seen, date) WHERE told = 0;"
	"CREATE INDEX late_seen ON late(seen);"
	"CREATE TABLE late_cursors (url TEXT PRIMARY KEY,"
	" since INTEGER NOT NULL) WITHOUT ROWID;",
	/* the one that the access token has, wherever it is from */
	"ALTER TABLE refresh_tokens ADD COLUMN issued_role INTEGER NOT NULL"
	" DEFAULT 0;",
	"ALTER TABLE recalls ADD COLUMN person TEXT;",
	"CREATE TABLE doubts (url TEXT NOT NULL, actor TEXT NOT NULL,"
	" reason TEXT NOT NULL, answered INTEGER NOT NULL DEFAULT 0,"
	" tries INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (url, actor, reason)) WITHOUT ROWID;",
	/* whether the access token names its family; until when what is revoked
	   may be good, 0 where that is not known */
	"ALTER TABLE refresh_tokens ADD COLUMN named INTEGER NOT NULL"
	" DEFAULT 0;"
	"ALTER TABLE revocations ADD COLUMN expires INTEGER NOT NULL"
	" DEFAULT 0;"
	"CREATE INDEX revocations_tenant ON revocations(tenant);",
	/* when the token was, as revocations have it */
	"ALTER TABLE recalls ADD COLUMN issued INTEGER NOT NULL DEFAULT -1;",
	/* whether the audit trail may lack how it ended; that somebody has
	   rejected it is told by the line of that */
	"ALTER TABLE recalls ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX recalls_untold ON recalls(created) WHERE untold = 1;"
	"CREATE TRIGGER recall_untold AFTER UPDATE OF finished ON recalls"
	" WHEN OLD.finished = 0 AND NEW.finished > 0 AND"
	" NEW.approval IS NOT 'rejected'"
	" BEGIN UPDATE recalls SET untold = 1 WHERE id = NEW.id; END;",
	"DROP TRIGGER recall_pending;"
	"CREATE TRIGGER recall_pending AFTER INSERT ON recalls"
	" WHEN NEW.approval = 'pending' BEGIN INSERT INTO webhooks"
	" (id, recall, event) SELECT " NEW_WEBHOOK_ID ", NEW.id,"
	" 'pending_approval'; END;"
	"DROP TRIGGER recall_finished;"
	"CREATE TRIGGER recall_finished AFTER UPDATE OF finished ON recalls"
	" WHEN OLD.finished = 0 AND NEW.finished > 0 AND NEW.dry_run = 0"
	" BEGIN INSERT INTO webhooks (id, recall, event)"
	" SELECT " NEW_WEBHOOK_ID ", NEW.id, 'finished'; END;",
	/* whether the node has more than it may tell of at a time */
	"ALTER TABLE late_cursors ADD COLUMN waiting INTEGER NOT NULL"
	" DEFAULT 0;",
};
#define VERSION (int)(sizeof(upgrades) / sizeof(upgrades[0]))

static pthread_mutex_t journal_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t reader_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t loader_mutex = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *journal_db, *reader_db, *loader_db;
/* the transaction that was begun is on the disk when it has ended */
static bool journal_promised;
static int journal_lock_fd = -1;
/* its own, which it asks for memory */
static sqlite3_mem_methods sqlite_memory;

sqlite3 *journal_lock(void)
{
	pthread_mutex_lock(&journal_mutex);
	return journal_db;
}

void journal_unlock(void)
{
	pthread_mutex_unlock(&journal_mutex);
}

sqlite3 *journal_lock_reader(void)
{
	pthread_mutex_lock(&reader_mutex);
	return reader_db;
}

void journal_unlock_reader(void)
{
	pthread_mutex_unlock(&reader_mutex);
}

sqlite3 *journal_lock_loader(void)
{
	pthread_mutex_lock(&loader_mutex);
	if (journal_exec(loader_db, "BEGIN", ""))
		return loader_db;
	pthread_mutex_unlock(&loader_mutex);
	return NULL;
}

void journal_unlock_loader(void)
{
	(void)journal_exec(loader_db, "ROLLBACK", "");
	pthread_mutex_unlock(&loader_mutex);
}

/* SQLite tells of a disk that it has failed, and of no file. Whatever goes on
   while that is full tries again. */
static void log_failed(sqlite3 *db)
{
	static struct log_limit limits[0x100];
	int kind = sqlite3_errcode(db) & 0xff;
	int error = kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN ?
		sqlite3_system_errno(db) : 0;
	unsigned int left_out;

	if (!log_limit_pass(&limits[kind], &left_out))
		return;
	if (left_out > 0)
		log_error("journal: %u errors like the next were left out",
			  left_out);
	log_error("journal: %s%s%s (%s)", sqlite3_errmsg(db),
		  error == 0 ? "" : ": ", error == 0 ? "" : strerror(error),
		  sqlite3_db_filename(db, "main"));
}

/* Pragmas, which partly act as they are compiled. */
static bool run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	log_failed(db);
	return false;
}

/* Compiling takes longer than most statements run: the connection keeps them
   all, and they are few. */
sqlite3_stmt *journal_prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	while ((stmt = sqlite3_next_stmt(db, stmt)) != NULL) {
		if (strcmp(sqlite3_sql(stmt), sql) == 0)
			return stmt;
	}
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
			       NULL) != SQLITE_OK)
		log_failed(db);
	return stmt;
}

void journal_release(sqlite3_stmt *stmt)
{
	if (stmt == NULL)
		return;
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

void journal_bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	if (stmt == NULL)
		return;
	if (text == NULL)
		sqlite3_bind_null(stmt, i);
	else
		sqlite3_bind_text(stmt, i, text, -1, SQLITE_TRANSIENT);
}

static void bind_all(sqlite3_stmt *stmt, const char *types, va_list args)
{
	int i;

	for (i = 0; types[i] != '\0'; i++) {
		if (types[i] == 's')
			journal_bind_text(stmt, i + 1,
					  va_arg(args, const char *));
		else
			sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
	}
}

int journal_step(sqlite3_stmt *stmt)
{
	int ret = stmt == NULL ? SQLITE_ERROR : sqlite3_step(stmt);

	if (stmt != NULL && ret != SQLITE_ROW && ret != SQLITE_DONE)
		log_failed(sqlite3_db_handle(stmt));
	return ret;
}

const char *journal_text(sqlite3_stmt *stmt, int i)
{
	return (const char *)sqlite3_column_text(stmt, i);
}

char *journal_strdup(sqlite3_stmt *stmt, int i)
{
	const char *text = journal_text(stmt, i);

	return text == NULL ? NULL : x_strdup(text);
}

bool journal_exec(sqlite3 *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	va_list args;
	int ret;

	if (stmt == NULL)
		return false;
	va_start(args, types);
	bind_all(stmt, types, args);
	va_end(args);
	ret = journal_step(stmt);
	journal_release(stmt);
	return ret == SQLITE_DONE || ret == SQLITE_ROW;
}

/* Returns -1 if it can't be read. */
static int get_version(sqlite3 *db)
{
	sqlite3_stmt *stmt = journal_prepare(db, "PRAGMA user_version");
	int version = -1;

	if (journal_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	journal_release(stmt);
	return version;
}

/* Makes the tables, or brings them up to date, whole or not at all. What a
   later version has written is not for this one: it would go on with recalls
   without what it does not know of them, an approval for one. */
static int make_tables(sqlite3 *db, bool *newer_r)
{
	char sql[48];
	int version, ret;

	ret = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	*newer_r = ret == SQLITE_OK && get_version(db) > VERSION;
	if (*newer_r)
		return SQLITE_MISUSE;
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(db, schema, NULL, NULL, NULL);
	version = ret == SQLITE_OK ? get_version(db) : VERSION;
	if (version < 0)
		ret = SQLITE_ERROR;
	for (; ret == SQLITE_OK && version < VERSION; version++) {
		ret = sqlite3_exec(db, upgrades[version], NULL, NULL, NULL);
		snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
			 version + 1);
		if (ret == SQLITE_OK)
			ret = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	return ret != SQLITE_OK ? ret :
		sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
}

/* Another process would take the recalls of this one for those that a crash
   left behind. The lock ends with the process. */
static bool lock_file(const char *path, char **error_r)
{
	/* by whatever name it is known, once there is one */
	char *real = realpath(path, NULL);
	char *name = x_asprintf("%s.lock", real != NULL ? real : path);

	free(real);
	journal_lock_fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (journal_lock_fd < 0)
		*error_r = x_asprintf("journal: open(%s): %s", name,
				      strerror(errno));
	else if (flock(journal_lock_fd, LOCK_EX | LOCK_NB) < 0)
		*error_r = errno == EWOULDBLOCK ?
			x_asprintf("journal %s: another mail-recalld uses it",
				   path) :
			x_asprintf("journal: flock(%s): %s", name,
				   strerror(errno));
	free(name);
	return *error_r == NULL;
}

static void *sqlite_malloc(int size)
{
	void *p = sqlite_memory.xMalloc(size);

	if (p == NULL)
		x_out_of_memory();
	return p;
}

static void *sqlite_realloc(void *old, int size)
{
	void *p = sqlite_memory.xRealloc(old, size);

	if (p == NULL)
		x_out_of_memory();
	return p;
}

/* Without memory a text would be read, or even written, as if there was none:
   few of SQLite's functions for values say so. */
static void take_memory_or_end(void)
{
	sqlite3_mem_methods methods;

	if (sqlite_memory.xMalloc != NULL ||
	    sqlite3_config(SQLITE_CONFIG_GETMALLOC,
			   &sqlite_memory) != SQLITE_OK)
		return;
	methods = sqlite_memory;
	methods.xMalloc = sqlite_malloc;
	methods.xRealloc = sqlite_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static int open_db(const char *path, sqlite3 **db_r)
{
	int ret = sqlite3_open_v2(path, db_r, SQLITE_OPEN_READWRITE |
				  SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
				  NULL);

	if (ret == SQLITE_OK)
		ret = sqlite3_busy_timeout(*db_r, BUSY_TIMEOUT_MS);
	return ret == SQLITE_OK ? journal_visible_register(*db_r) : ret;
}

static void close_db(sqlite3 **db)
{
	sqlite3_stmt *stmt;

	while (*db != NULL && (stmt = sqlite3_next_stmt(*db, NULL)) != NULL)
		sqlite3_finalize(stmt);
	sqlite3_close(*db);
	*db = NULL;
}

static int open_reader(const char *path, sqlite3 **db_r)
{
	int ret = open_db(path, db_r);

	return ret != SQLITE_OK ? ret :
		sqlite3_exec(*db_r, "PRAGMA query_only = ON", NULL, NULL, NULL);
}

bool journal_open(const char *path, char **error_r)
{
	sqlite3 **failed = &journal_db;
	bool newer = false;
	mode_t mask;
	int ret;

	take_memory_or_end();
	*error_r = NULL;
	if (!lock_file(path, error_r)) {
		journal_close();
		return false;
	}
	mask = umask(0077);
	ret = open_db(path, &journal_db);
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(journal_db, "PRAGMA journal_mode = WAL;"
				   "PRAGMA synchronous = NORMAL;"
				   "PRAGMA foreign_keys = ON", NULL, NULL,
				   NULL);
	if (ret == SQLITE_OK)
		ret = make_tables(journal_db, &newer);
	if (ret == SQLITE_OK) {
		failed = &reader_db;
		ret = open_reader(path, &reader_db);
	}
	if (ret == SQLITE_OK) {
		failed = &loader_db;
		ret = open_reader(path, &loader_db);
	}
	umask(mask);
	if (ret == SQLITE_OK)
		return true;
	*error_r = x_asprintf("journal %s: %s", path, newer ?
		"a later version of mail-recalld has written it" :
		sqlite3_errmsg(*failed));
	journal_close();
	return false;
}

void journal_close(void)
{
	/* whoever closes it last tidies up */
	close_db(&loader_db);
	close_db(&reader_db);
	close_db(&journal_db);
	if (journal_lock_fd >= 0)
		close(journal_lock_fd);
	journal_lock_fd = -1;
}

bool journal_ready(void)
{
	sqlite3 *db = journal_lock();
	char sql[48];
	bool ret;

	/* only what is written shows whether the disk is full, or read-only;
	   this is what is there already */
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", VERSION);
	ret = journal_begin(db, false);
	ret = journal_end(db, ret && run(db, sql));
	journal_unlock();
	return ret;
}

bool journal_begin(sqlite3 *db, bool promised)
{
	journal_promised = promised;
	return (!promised || run(db, "PRAGMA synchronous = FULL")) &&
	       journal_exec(db, "BEGIN IMMEDIATE", "");
}

bool journal_end(sqlite3 *db, bool ok)
{
	bool ret = ok && journal_exec(db, "COMMIT", "");

	if (!ret && !sqlite3_get_autocommit(db))
		(void)journal_exec(db, "ROLLBACK", "");
	if (journal_promised)
		(void)run(db, "PRAGMA synchronous = NORMAL");
	journal_promised = false;
	return ret;
}
