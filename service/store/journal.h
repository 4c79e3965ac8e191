#ifndef JOURNAL_H
#define JOURNAL_H

#include <sqlite3.h>

#include "recall.h"

/* The recalls that were asked for, in an SQLite file: written before the first
   command is sent, so that a crash loses none. All functions may be called
   from any thread. */

/* Opens or makes the file, which is this process's alone until it ends. Returns
   false with the reason in error_r (the caller frees it). */
bool journal_open(const char *path, char **error_r);
void journal_close(void);
/* Whether it can be written. */
bool journal_ready(void);

/* Writes the recall with its users. A crash of the process does not lose it;
   if promised, neither does one of the machine. */
bool journal_add(const struct recall *recall, bool promised);
/* Writes the verdicts of these users, and recall->finished. */
bool journal_save(const struct recall *recall, const size_t *users,
		  size_t count);

enum journal_result {
	JOURNAL_FOUND = 0,
	JOURNAL_ABSENT,
	/* It can't be read: nothing is known. */
	JOURNAL_FAILED
};

/* The recall of this id, whole, or NULL. */
enum journal_result journal_load(const char *id, struct recall **recall_r);
/* The ids of recalls that have not finished, oldest first. Returns false if they
   can't be read. */
bool journal_unfinished(struct strlist *ids);
/* Whether the identity may see the recall. */
bool journal_visible(const struct identity *identity,
		     const struct recall *recall);

/* Forgets finished recalls and refresh tokens older than that. */
void journal_purge(int64_t before);

/* The database, locked, for what is kept beside the recalls. */
sqlite3 *journal_lock(void);
void journal_unlock(void);
/* The compiled statement, which stays with the database: no transaction may be
   begun or ended while it is in use, nor the same asked for. NULL after logging
   an error. journal_release() gives it back. */
sqlite3_stmt *journal_prepare(sqlite3 *db, const char *sql);
void journal_release(sqlite3_stmt *stmt);
/* sqlite3_step() that logs errors; NULL is one that has been logged. */
int journal_step(sqlite3_stmt *stmt);
/* A transaction. What is promised is on the disk when it has ended. The second
   one has to be called in any case: it commits if ok, and returns whether that
   was done. */
bool journal_begin(sqlite3 *db, bool promised);
bool journal_end(sqlite3 *db, bool ok);
/* Runs one statement whose parameters are texts (s) and numbers (i: int64_t)
   as types says. Returns false after logging an error. */
bool journal_exec(sqlite3 *db, const char *sql, const char *types, ...);

#endif
