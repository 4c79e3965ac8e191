#include <stdlib.h>
#include <string.h>

#include "recall-verdict.h"
#include "journal.h"
#include "journal-key.h"

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
	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, actor->login, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, actor->tenant, -1, SQLITE_STATIC);
	}
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW &&
	    sqlite3_column_bytes(stmt, 0) == RECALL_ID_LEN)
		memcpy(id, sqlite3_column_text(stmt, 0), RECALL_ID_LEN + 1);
	journal_release(stmt);
	journal_unlock();
	if (*id != '\0')
		return journal_load(id, recall_r);
	return ret == SQLITE_DONE ? JOURNAL_ABSENT : JOURNAL_FAILED;
}

static bool same_text(const char *s1, const char *s2)
{
	return s1 == NULL || s2 == NULL ? s1 == s2 : strcmp(s1, s2) == 0;
}

bool recall_is_same(const struct recall *old, const struct recall *recall)
{
	int64_t expected = 0;
	size_t i;

	if (old->kind != recall->kind || old->force != recall->force ||
	    old->notify != recall->notify ||
	    old->dry_run != recall->dry_run ||
	    old->verify_headers != recall->verify_headers ||
	    old->actor.role != recall->actor.role ||
	    old->count != recall->count ||
	    !same_text(old->target, recall->target) ||
	    !same_text(old->query, recall->query) ||
	    !same_text(old->reason, recall->reason) ||
	    /* a restore has it of what it undoes */
	    (old->kind == RECALL_EXPUNGE &&
	     !same_text(old->messageid, recall->messageid)))
		return false;
	for (i = 0; i < old->count; i++) {
		if (strcmp(old->users[i].key, recall->users[i].key) != 0)
			return false;
		expected += old->users[i].expected;
	}
	return expected == recall->yes_count;
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
			    "mailboxes = NULL, mailbox_user = NULL, searched = NULL, "
			    "error = NULL WHERE recall = ? AND status = ?",
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
