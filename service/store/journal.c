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
#include "recall-verdict.h"
#include "journal.h"
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
};
#define VERSION (int)(sizeof(upgrades) / sizeof(upgrades[0]))

static pthread_mutex_t journal_mutex = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *journal_db;
/* the transaction that was begun is on the disk when it has ended */
static bool journal_promised;
static int journal_lock_fd = -1;

sqlite3 *journal_lock(void)
{
	pthread_mutex_lock(&journal_mutex);
	return journal_db;
}

void journal_unlock(void)
{
	pthread_mutex_unlock(&journal_mutex);
}

/* Pragmas, which partly act as they are compiled. */
static bool run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	log_error("journal: %s", sqlite3_errmsg(db));
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
		log_error("journal: %s", sqlite3_errmsg(db));
	return stmt;
}

void journal_release(sqlite3_stmt *stmt)
{
	if (stmt == NULL)
		return;
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
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
			bind_text(stmt, i + 1, va_arg(args, const char *));
		else
			sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
	}
}

int journal_step(sqlite3_stmt *stmt)
{
	int ret = stmt == NULL ? SQLITE_ERROR : sqlite3_step(stmt);

	if (stmt != NULL && ret != SQLITE_ROW && ret != SQLITE_DONE)
		log_error("journal: %s", sqlite3_errmsg(sqlite3_db_handle(stmt)));
	return ret;
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

static int get_version(sqlite3 *db)
{
	sqlite3_stmt *stmt = journal_prepare(db, "PRAGMA user_version");
	int version = VERSION;

	if (sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	journal_release(stmt);
	return version;
}

/* Makes the tables, or brings them up to date, whole or not at all. */
static int make_tables(sqlite3 *db)
{
	char sql[48];
	int version, ret;

	ret = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(db, schema, NULL, NULL, NULL);
	for (version = get_version(db); ret == SQLITE_OK && version < VERSION;
	     version++) {
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
	char *name = x_asprintf("%s.lock", path);

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

bool journal_open(const char *path, char **error_r)
{
	mode_t mask;
	int ret;

	*error_r = NULL;
	if (!lock_file(path, error_r)) {
		journal_close();
		return false;
	}
	mask = umask(0077);
	ret = sqlite3_open_v2(path, &journal_db, SQLITE_OPEN_READWRITE |
			      SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (ret == SQLITE_OK) {
		sqlite3_busy_timeout(journal_db, BUSY_TIMEOUT_MS);
		ret = sqlite3_exec(journal_db, "PRAGMA journal_mode = WAL;"
				   "PRAGMA synchronous = NORMAL;"
				   "PRAGMA foreign_keys = ON", NULL, NULL,
				   NULL);
	}
	if (ret == SQLITE_OK)
		ret = make_tables(journal_db);
	umask(mask);
	if (ret == SQLITE_OK)
		return true;
	*error_r = x_asprintf("journal %s: %s", path,
			      sqlite3_errmsg(journal_db));
	journal_close();
	return false;
}

void journal_close(void)
{
	sqlite3_stmt *stmt;

	while (journal_db != NULL &&
	       (stmt = sqlite3_next_stmt(journal_db, NULL)) != NULL)
		sqlite3_finalize(stmt);
	sqlite3_close(journal_db);
	journal_db = NULL;
	if (journal_lock_fd >= 0)
		close(journal_lock_fd);
	journal_lock_fd = -1;
}

bool journal_ready(void)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_exec(db, "BEGIN IMMEDIATE", "") &&
		   journal_exec(db, "ROLLBACK", "");

	journal_unlock();
	return ret;
}

static bool add_users(sqlite3 *db, const struct recall *recall)
{
	sqlite3_stmt *stmt = journal_prepare(db, "INSERT INTO verdicts "
		"(recall, pos, email, expected) VALUES (?, ?, ?, ?)");
	bool ret = stmt != NULL;
	size_t i;

	for (i = 0; ret && i < recall->count; i++) {
		sqlite3_bind_text(stmt, 1, recall->id, -1, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 2, i);
		sqlite3_bind_text(stmt, 3, recall->users[i].email, -1,
				  SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 4, recall->users[i].expected);
		ret = journal_step(stmt) == SQLITE_DONE;
		sqlite3_reset(stmt);
	}
	journal_release(stmt);
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

bool journal_add(const struct recall *recall, bool promised)
{
	sqlite3 *db = journal_lock();
	struct strbuf senders = { NULL, 0, 0 };
	size_t i;
	bool ret;

	strbuf_add(&senders, "", 0);
	for (i = 0; i < recall->senders.count; i++)
		strbuf_addf(&senders, "%s ", recall->senders.items[i]);
	/* what was promised has to survive a power cut, too; whoever still waits
	   for an answer asks again, and so does the service for a lost verdict */
	ret = journal_begin(db, promised);
	if (ret)
		ret = journal_exec(db, "INSERT INTO recalls (id, created, "
			"messageid, force, notify, dry_run, reason, actor, "
			"tenant, role, source, senders, users, cmd, target, "
			"query, key, verify_headers) "
			"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			"sisiiisssississssi",
			recall->id, recall->created, recall->messageid,
			(int64_t)recall->force, (int64_t)recall->notify,
			(int64_t)recall->dry_run, recall->reason,
			recall->actor.login, recall->actor.tenant,
			(int64_t)recall->actor.role, recall->source,
			senders.data, (int64_t)recall->count,
			recall_kind_name(recall->kind), recall->target,
			recall->query, recall->key,
			(int64_t)recall->verify_headers) &&
		      add_users(db, recall);
	ret = journal_end(db, ret);
	journal_unlock();
	free(senders.data);
	return ret;
}

bool journal_save(const struct recall *recall, const size_t *users,
		  size_t count)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt;
	size_t i;
	bool ret;

	ret = journal_begin(db, false);
	stmt = journal_prepare(db, "UPDATE verdicts SET status = ?, "
		"copies = ?, notice = ?, mailboxes = ?, error = ?, "
		"mailbox_user = ?, searched = ?, present = ? WHERE recall = ? AND pos = ?");
	ret = ret && stmt != NULL;
	for (i = 0; ret && i < count; i++) {
		const struct recall_user *user = &recall->users[users[i]];

		bind_text(stmt, 1, user->verdict < 0 ? NULL :
			  recall_verdict_name(user->verdict));
		sqlite3_bind_int64(stmt, 2, user->copies);
		bind_text(stmt, 3, user->notice);
		bind_text(stmt, 4, user->mailboxes);
		bind_text(stmt, 5, user->error);
		bind_text(stmt, 6, user->mailbox_user);
		bind_text(stmt, 7, user->searched);
		sqlite3_bind_int64(stmt, 8, user->present);
		bind_text(stmt, 9, recall->id);
		sqlite3_bind_int64(stmt, 10, users[i]);
		ret = journal_step(stmt) == SQLITE_DONE;
		sqlite3_reset(stmt);
	}
	journal_release(stmt);
	if (ret && recall->finished != 0)
		ret = journal_exec(db, "UPDATE recalls SET finished = ? WHERE "
				   "id = ?", "is", recall->finished,
				   recall->id);
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

static char *column_text(sqlite3_stmt *stmt, int i)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	return text == NULL ? NULL : x_strdup((const char *)text);
}

/* What a later version has written counts as an error, of which a retry is
   safe. */
static int parse_status(const char *status)
{
	int verdict = status == NULL ? -1 : recall_verdict_parse(status);

	return status != NULL && verdict < 0 ? RECALL_VERDICT_ERROR : verdict;
}

static bool load_users(sqlite3 *db, struct recall *recall)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT email, status, "
		"copies, notice, mailboxes, error, expected, mailbox_user, "
		"searched, present FROM verdicts WHERE recall = ? ORDER BY pos");
	struct recall_user *user;
	int ret;

	bind_text(stmt, 1, recall->id);
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		recall_add_user(recall,
				(const char *)sqlite3_column_text(stmt, 0));
		user = &recall->users[recall->count - 1];
		user->verdict = parse_status((const char *)
					     sqlite3_column_text(stmt, 1));
		user->copies = sqlite3_column_int64(stmt, 2);
		user->notice = column_text(stmt, 3);
		user->mailboxes = column_text(stmt, 4);
		user->error = column_text(stmt, 5);
		user->expected = sqlite3_column_int64(stmt, 6);
		user->mailbox_user = column_text(stmt, 7);
		user->searched = column_text(stmt, 8);
		user->present = sqlite3_column_int64(stmt, 9);
	}
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

static void read_recall(sqlite3_stmt *stmt, struct recall *recall)
{
	recall->created = sqlite3_column_int64(stmt, 0);
	recall->finished = sqlite3_column_int64(stmt, 1);
	free(recall->messageid);
	recall->messageid = column_text(stmt, 2);
	recall->force = sqlite3_column_int(stmt, 3) != 0;
	recall->notify = sqlite3_column_int(stmt, 4) != 0;
	recall->dry_run = sqlite3_column_int(stmt, 5) != 0;
	free(recall->reason);
	recall->reason = column_text(stmt, 6);
	recall->actor.login = column_text(stmt, 7);
	recall->actor.tenant = column_text(stmt, 8);
	recall->actor.role = sqlite3_column_int(stmt, 9);
	recall->source = column_text(stmt, 10);
	strlist_split(&recall->senders,
		      (const char *)sqlite3_column_text(stmt, 11));
	recall->kind = strcmp((const char *)sqlite3_column_text(stmt, 12),
			      recall_kind_name(RECALL_RESTORE)) == 0 ?
		RECALL_RESTORE : RECALL_EXPUNGE;
	recall->target = column_text(stmt, 13);
	recall->query = column_text(stmt, 14);
	recall->key = column_text(stmt, 15);
	recall->verify_headers = sqlite3_column_int(stmt, 16) != 0;
}

static enum journal_result
load(sqlite3 *db, const char *id, struct recall **recall_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT created, finished, "
		"messageid, force, notify, dry_run, reason, actor, tenant, role,"
		" source, senders, cmd, target, query, key, verify_headers "
		"FROM recalls WHERE id = ?");
	struct recall *recall;
	int ret;

	bind_text(stmt, 1, id);
	ret = journal_step(stmt);
	if (ret != SQLITE_ROW) {
		journal_release(stmt);
		return ret == SQLITE_DONE ? JOURNAL_ABSENT : JOURNAL_FAILED;
	}
	recall = recall_new();
	memcpy(recall->id, id, sizeof(recall->id));
	read_recall(stmt, recall);
	journal_release(stmt);
	if (!load_users(db, recall)) {
		recall_free(recall);
		return JOURNAL_FAILED;
	}
	*recall_r = recall;
	return JOURNAL_FOUND;
}

enum journal_result journal_load(const char *id, struct recall **recall_r)
{
	enum journal_result result;

	*recall_r = NULL;
	result = load(journal_lock(), id, recall_r);
	journal_unlock();
	return result;
}

bool journal_unfinished(struct strlist *ids)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT id FROM recalls "
		"WHERE finished = 0 ORDER BY created");
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(ids, (const char *)sqlite3_column_text(stmt, 0));
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_DONE;
}

bool journal_visible(const struct identity *identity,
		     const struct recall *recall)
{
	if (identity->role == ROLE_SUPER)
		return true;
	if (identity->role == ROLE_ADMIN)
		return recall->actor.role != ROLE_SUPER &&
		       strcmp(identity->tenant, recall->actor.tenant) == 0;
	return strcasecmp(identity->login, recall->actor.login) == 0;
}

void journal_purge(int64_t before)
{
	sqlite3 *db = journal_lock();

	(void)journal_exec(db, "DELETE FROM recalls WHERE finished > 0 AND "
			   "finished < ?", "i", before);
	(void)journal_exec(db, "DELETE FROM refresh_tokens WHERE expires < ?",
			   "i", before);
	journal_unlock();
}
