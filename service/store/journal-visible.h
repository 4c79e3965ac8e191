#ifndef JOURNAL_VISIBLE_H
#define JOURNAL_VISIBLE_H

#include <sqlite3.h>

#include "recall.h"

/* Who may see a recall: the one rule, for recalls in memory and in SQL. */

bool journal_visible(const struct identity *identity,
		     const struct recall *recall);

/* The condition on a row of the table of recalls; its parameter ?1 is the
   identity. */
#define JOURNAL_VISIBLE_SQL "visible(?1, actor, tenant, role)"
/* Makes it known to the database. Returns what SQLite does. */
int journal_visible_register(sqlite3 *db);
/* The identity stays until the statement is released. NULL stays so. */
void journal_visible_bind(sqlite3_stmt *stmt, const struct identity *identity);

#endif
