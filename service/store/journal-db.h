#ifndef JOURNAL_DB_H
#define JOURNAL_DB_H

#include <sqlite3.h>
#include <stdbool.h>

/* The SQLite file of what outlives the process: recalls (see journal.h),
   refresh tokens and revocations. All functions may be called from any
   thread. */

/* Opens or makes the file, which is this process's alone until it ends. Returns
   false with the reason in error_r (the caller frees it). */
bool journal_open(const char *path, char **error_r);
void journal_close(void);
/* Whether it can be written. */
bool journal_ready(void);

/* The database, locked, for what is kept beside the recalls. */
sqlite3 *journal_lock(void);
void journal_unlock(void);
/* Another connection to it, which only reads, locked: for what takes long, and
   nobody who writes is to wait for. It sees all that was written before. */
sqlite3 *journal_lock_reader(void);
void journal_unlock_reader(void);
/* One more, for a recall with all its users: many ask for those, and would wait
   for lists otherwise. All that is read before it's unlocked is of the same
   moment. NULL, and not locked, after logging an error. */
sqlite3 *journal_lock_loader(void);
void journal_unlock_loader(void);
/* The compiled statement, which stays with the database: no transaction may be
   begun or ended while it is in use, nor the same asked for. NULL after logging
   an error. journal_release() gives it back. */
sqlite3_stmt *journal_prepare(sqlite3 *db, const char *sql);
void journal_release(sqlite3_stmt *stmt);
/* Binds the text, or NULL. A statement that is NULL stays so. */
void journal_bind_text(sqlite3_stmt *stmt, int i, const char *text);
/* sqlite3_step() that logs errors; NULL is one that has been logged. */
int journal_step(sqlite3_stmt *stmt);
/* A column of the row, or NULL: until the next step; a copy, which the caller
   frees. */
const char *journal_text(sqlite3_stmt *stmt, int i);
char *journal_strdup(sqlite3_stmt *stmt, int i);
/* A transaction. What is promised is on the disk when it has ended. The second
   one has to be called in any case: it commits if ok, and returns whether that
   was done. */
bool journal_begin(sqlite3 *db, bool promised);
bool journal_end(sqlite3 *db, bool ok);
/* Runs one statement whose parameters are texts (s) and numbers (i: int64_t)
   as types says. Returns false after logging an error. */
bool journal_exec(sqlite3 *db, const char *sql, const char *types, ...);

#endif
