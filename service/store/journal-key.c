#include <string.h>

#include "recall-verdict.h"
#include "journal-db.h"
#include "journal-key.h"
#include "journal.h"

enum journal_result
journal_load_key(const struct identity *actor, const char *key,
		 struct recall **recall_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT id FROM recalls WHERE "
		"key = ? AND actor = ? COLLATE NOCASE AND tenant = ?");
	char id[RECALL_ID_LEN + 1] = "";
	int ret;

	*recall_r = NULL;
	journal_bind_text(stmt, 1, key);
	journal_bind_text(stmt, 2, actor->login);
	journal_bind_text(stmt, 3, actor->tenant);
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW && strlen(journal_text(stmt, 0)) == RECALL_ID_LEN)
		memcpy(id, journal_text(stmt, 0), RECALL_ID_LEN + 1);
	journal_release(stmt);
	journal_unlock();
	if (*id != '\0')
		return journal_load(id, recall_r);
	return ret == SQLITE_DONE ? JOURNAL_ABSENT : JOURNAL_FAILED;
}

static bool reopen(sqlite3 *db, const struct recall *recall, bool *claimed_r)
{
	if (!journal_exec(db, "UPDATE recalls SET finished = 0 WHERE id = ? "
			  "AND finished > 0", "s", recall->id))
		return false;
	*claimed_r = sqlite3_changes(db) > 0;
	return !*claimed_r ||
	       journal_exec(db, "UPDATE verdicts SET status = NULL, "
			    "copies = 0, present = 0, notice = NULL, "
			    "mailboxes = NULL, mailbox_user = NULL, "
			    "searched = NULL, error = NULL WHERE recall = ? "
			    "AND status = ?",
			    "ss", recall->id,
			    recall_verdict_name(RECALL_VERDICT_ERROR));
}

bool journal_reopen(struct recall *recall, bool *claimed_r)
{
	sqlite3 *db = journal_lock();
	bool ret;
	size_t i;

	*claimed_r = false;
	ret = journal_begin(db, false);
	ret = journal_end(db, ret && reopen(db, recall, claimed_r));
	journal_unlock();
	if (!ret) {
		*claimed_r = false;
		return false;
	}
	recall->finished = 0;
	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict == RECALL_VERDICT_ERROR)
			recall_user_reset(&recall->users[i]);
	}
	return true;
}
