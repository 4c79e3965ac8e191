#include "recall-verdict.h"
#include "journal-db.h"
#include "journal-nodes.h"

static bool save_users(sqlite3 *db, const struct recall *recall,
		       const size_t *users, size_t count)
{
	sqlite3_stmt *stmt = journal_prepare(db, "INSERT OR REPLACE INTO "
		"verdicts (recall, pos, email, status, copies, notice, "
		"mailboxes, error, mailbox_user, searched, present, "
		"kept_until) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
	bool ret = stmt != NULL;
	size_t i;

	for (i = 0; ret && i < count; i++) {
		const struct recall_user *user = &recall->users[users[i]];

		journal_bind_text(stmt, 1, recall->id);
		sqlite3_bind_int64(stmt, 2, users[i]);
		journal_bind_text(stmt, 3, user->email);
		journal_bind_text(stmt, 4, user->verdict < 0 ? NULL :
				  recall_verdict_name(user->verdict));
		sqlite3_bind_int64(stmt, 5, user->copies);
		journal_bind_text(stmt, 6, user->notice);
		journal_bind_text(stmt, 7, user->mailboxes);
		journal_bind_text(stmt, 8, user->error);
		journal_bind_text(stmt, 9, user->mailbox_user);
		journal_bind_text(stmt, 10, user->searched);
		sqlite3_bind_int64(stmt, 11, user->present);
		sqlite3_bind_int64(stmt, 12, user->kept_until);
		ret = journal_step(stmt) == SQLITE_DONE;
		sqlite3_reset(stmt);
	}
	journal_release(stmt);
	return ret;
}

static bool save_node(sqlite3 *db, const struct recall *recall,
		      const struct recall_node *node)
{
	return journal_exec(db, "INSERT OR REPLACE INTO nodes (recall, pos, "
			    "name, urls, cursor, state, down_since, looked, "
			    "error) VALUES (?,?,?,?,?,?,?,?,?)", "sissssiis",
			    recall->id, (int64_t)(node - recall->nodes),
			    node->name, node->urls, node->cursor,
			    recall_node_state_name(node->state),
			    node->down_since, node->users_done, node->error) &&
	       journal_exec(db, "UPDATE recalls SET users = ? WHERE id = ?",
			    "is", recall_users_done(recall), recall->id);
}

bool journal_save_found(const struct recall *recall, const size_t *users,
			size_t count, const struct recall_node *nodes,
			size_t node_count)
{
	sqlite3 *db = journal_lock();
	bool ret = journal_begin(db, false) &&
		   save_users(db, recall, users, count);
	size_t i;

	for (i = 0; ret && i < node_count; i++)
		ret = save_node(db, recall, &nodes[i]);
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

bool journal_load_nodes(sqlite3 *db, struct recall *recall)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT name, urls, cursor, "
		"state, down_since, looked, error FROM nodes WHERE recall = ? "
		"ORDER BY pos");
	struct recall_node *node;
	int ret;

	journal_bind_text(stmt, 1, recall->id);
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		node = recall_add_node(recall, journal_text(stmt, 0),
				       journal_text(stmt, 1));
		recall_set_text(&node->cursor, journal_text(stmt, 2));
		node->state = recall_node_state_parse(journal_text(stmt, 3));
		node->down_since = sqlite3_column_int64(stmt, 4);
		node->users_done = sqlite3_column_int64(stmt, 5);
		recall_set_text(&node->error, journal_text(stmt, 6));
	}
	journal_release(stmt);
	return ret == SQLITE_DONE;
}
