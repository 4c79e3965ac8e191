#ifndef JOURNAL_NODES_H
#define JOURNAL_NODES_H

#include "journal-db.h"
#include "recall.h"

/* How far a recall from everyone is. */

/* Writes the verdicts of these users, new ones or not, and how far these nodes
   of the recall are: all or nothing. */
bool journal_save_found(const struct recall *recall, const size_t *users,
			size_t count, const struct recall_node *nodes,
			size_t node_count);
/* Reads the nodes. Returns false after logging an error. */
bool journal_load_nodes(sqlite3 *db, struct recall *recall);

#endif
