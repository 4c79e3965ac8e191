#include <stdlib.h>
#include <string.h>

#include "recall-verdict.h"
#include "alloc.h"
#include "journal-db.h"
#include "journal-nodes.h"
#include "journal.h"
#include "strlist-json.h"

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

bool journal_add(const struct recall *recall, bool promised)
{
	sqlite3 *db = journal_lock();
	char *senders = strlist_to_json_text(&recall->senders);
	char *query = recall_query_text(recall);
	bool ret;

	/* what was promised has to survive a power cut, too; whoever still
	   waits for an answer asks again, and so does the service for a lost
	   verdict */
	ret = journal_begin(db, promised);
	if (ret)
		ret = journal_exec(db, "INSERT INTO recalls (id, created, "
			"messageid, force, notify, dry_run, reason, actor, "
			"tenant, role, source, senders, users, cmd, target, "
			"query, key, verify_headers, approval, stand, "
			"everyone, person, issued) "
			"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
			"?,?,?,?,?,?,?)",
			"sisiiisssississssisiisi",
			recall->id, recall->created, recall->message_id,
			(int64_t)recall->force, (int64_t)recall->notify,
			(int64_t)recall->dry_run, recall->reason,
			recall->actor.login, recall->actor.tenant,
			(int64_t)recall->actor.role, recall->source,
			senders, (int64_t)recall->count,
			recall_kind_name(recall->kind), recall->target,
			query, recall->key,
			(int64_t)recall->verify_headers,
			recall_approval_name(recall->approval),
			recall->stand, (int64_t)recall->everyone,
			recall->person, recall->actor.issued) &&
		      add_users(db, recall);
	ret = journal_end(db, ret);
	journal_unlock();
	free(senders);
	free(query);
	return ret;
}

static bool is_done(int verdict)
{
	return verdict == RECALL_VERDICT_EXPUNGED ||
		verdict == RECALL_VERDICT_RESTORED;
}

/* again: of users who are in error still, or are asked about once more at the
   same time, if it is what was done. Whoever asks later finds nothing left:
   that does not take its place. */
static bool save(const struct recall *recall, const size_t *users,
		 size_t count, bool again)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt;
	size_t i;
	bool ret;

	ret = journal_begin(db, false);
	stmt = journal_prepare(db, "UPDATE verdicts SET status = ?, "
		"copies = ?, notice = ?, mailboxes = ?, error = ?, "
		"mailbox_user = ?, searched = ?, present = ?, kept_until = ? "
		"WHERE recall = ?10 AND pos = ?11 AND CASE WHEN ?12 THEN "
		"status = ?13 OR (status IS NULL AND ?14) ELSE "
		"status IS NULL OR status NOT IN (?15, ?16) OR ?14 END");
	ret = ret && stmt != NULL;
	for (i = 0; ret && i < count; i++) {
		const struct recall_user *user = &recall->users[users[i]];

		journal_bind_text(stmt, 1, user->verdict < 0 ? NULL :
			  recall_verdict_name(user->verdict));
		sqlite3_bind_int64(stmt, 2, user->copies);
		journal_bind_text(stmt, 3, user->notice);
		journal_bind_text(stmt, 4, user->mailboxes);
		journal_bind_text(stmt, 5, user->error);
		journal_bind_text(stmt, 6, user->mailbox_user);
		journal_bind_text(stmt, 7, user->searched);
		sqlite3_bind_int64(stmt, 8, user->present);
		sqlite3_bind_int64(stmt, 9, user->kept_until);
		journal_bind_text(stmt, 10, recall->id);
		sqlite3_bind_int64(stmt, 11, users[i]);
		sqlite3_bind_int(stmt, 12, again);
		journal_bind_text(stmt, 13,
				  recall_verdict_name(RECALL_VERDICT_ERROR));
		sqlite3_bind_int(stmt, 14, is_done(user->verdict));
		journal_bind_text(stmt, 15,
				  recall_verdict_name(RECALL_VERDICT_EXPUNGED));
		journal_bind_text(stmt, 16,
				  recall_verdict_name(RECALL_VERDICT_RESTORED));
		ret = journal_step(stmt) == SQLITE_DONE;
		sqlite3_reset(stmt);
	}
	journal_release(stmt);
	if (ret && recall->finished != 0 && !again)
		ret = journal_exec(db, "UPDATE recalls SET finished = ? WHERE "
				   "id = ?", "is", recall->finished,
				   recall->id);
	ret = journal_end(db, ret);
	journal_unlock();
	return ret;
}

bool journal_save(const struct recall *recall, const size_t *users,
		  size_t count)
{
	return save(recall, users, count, false);
}

bool journal_save_again(const struct recall *recall, const size_t *users,
			size_t count)
{
	return save(recall, users, count, true);
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
		"searched, present, kept_until FROM verdicts WHERE recall = ? "
		"ORDER BY pos");
	struct recall_user *user;
	int ret;

	journal_bind_text(stmt, 1, recall->id);
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		recall_add_user(recall,
				journal_text(stmt, 0));
		user = &recall->users[recall->count - 1];
		user->verdict = parse_status(journal_text(stmt, 1));
		user->copies = sqlite3_column_int64(stmt, 2);
		user->notice = journal_strdup(stmt, 3);
		user->mailboxes = journal_strdup(stmt, 4);
		user->error = journal_strdup(stmt, 5);
		user->expected = sqlite3_column_int64(stmt, 6);
		user->mailbox_user = journal_strdup(stmt, 7);
		user->searched = journal_strdup(stmt, 8);
		user->present = sqlite3_column_int64(stmt, 9);
		user->kept_until = sqlite3_column_int64(stmt, 10);
	}
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

static void read_recall(sqlite3_stmt *stmt, struct recall *recall)
{
	recall->created = sqlite3_column_int64(stmt, 0);
	recall->finished = sqlite3_column_int64(stmt, 1);
	free(recall->message_id);
	recall->message_id = journal_strdup(stmt, 2);
	recall->force = sqlite3_column_int(stmt, 3) != 0;
	recall->notify = sqlite3_column_int(stmt, 4) != 0;
	recall->dry_run = sqlite3_column_int(stmt, 5) != 0;
	free(recall->reason);
	recall->reason = journal_strdup(stmt, 6);
	recall->actor.login = journal_strdup(stmt, 7);
	recall->actor.tenant = journal_strdup(stmt, 8);
	recall->actor.role = sqlite3_column_int(stmt, 9);
	recall->source = journal_strdup(stmt, 10);
	strlist_add_json_text(&recall->senders, journal_text(stmt, 11));
	recall->kind = strcmp(journal_text(stmt, 12),
			      recall_kind_name(RECALL_RESTORE)) == 0 ?
		RECALL_RESTORE : RECALL_EXPUNGE;
	recall->target = journal_strdup(stmt, 13);
	strlist_add_json_text(&recall->query, journal_text(stmt, 14));
	recall->key = journal_strdup(stmt, 15);
	recall->verify_headers = sqlite3_column_int(stmt, 16) != 0;
	recall->approval = recall_approval_parse(journal_text(stmt, 17));
	recall->approver = journal_strdup(stmt, 18);
	recall->decision = journal_strdup(stmt, 19);
	recall->decided = sqlite3_column_int64(stmt, 20);
	recall->stand = sqlite3_column_int64(stmt, 21);
	recall->everyone = sqlite3_column_int(stmt, 22) != 0;
	recall->actor.issued = sqlite3_column_int64(stmt, 23);
}

static enum journal_result
load(sqlite3 *db, const char *id, struct recall **recall_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT created, finished, "
		"messageid, force, notify, dry_run, reason, actor, tenant, "
		"role, source, senders, cmd, target, query, key, "
		"verify_headers, approval, approver, decision, decided, stand, "
		"everyone, issued "
		"FROM recalls WHERE id = ?");
	struct recall *recall;
	int ret;

	journal_bind_text(stmt, 1, id);
	ret = journal_step(stmt);
	if (ret != SQLITE_ROW) {
		journal_release(stmt);
		return ret == SQLITE_DONE ? JOURNAL_ABSENT : JOURNAL_FAILED;
	}
	recall = recall_new();
	memcpy(recall->id, id, sizeof(recall->id));
	read_recall(stmt, recall);
	journal_release(stmt);
	if (!load_users(db, recall) || !journal_load_nodes(db, recall)) {
		recall_free(recall);
		return JOURNAL_FAILED;
	}
	*recall_r = recall;
	return JOURNAL_FOUND;
}

enum journal_result journal_load(const char *id, struct recall **recall_r)
{
	enum journal_result result = JOURNAL_FAILED;
	sqlite3 *db = journal_lock_loader();

	*recall_r = NULL;
	if (db == NULL)
		return result;
	result = load(db, id, recall_r);
	journal_unlock_loader();
	return result;
}

enum journal_result journal_is_everyone(const char *id, bool *everyone_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT everyone FROM recalls "
		"WHERE id = ?");
	int ret;

	journal_bind_text(stmt, 1, id);
	ret = journal_step(stmt);
	*everyone_r = ret == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 0;
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW ? JOURNAL_FOUND :
		ret == SQLITE_DONE ? JOURNAL_ABSENT : JOURNAL_FAILED;
}

static bool list_ids(const char *sql, struct strlist *ids)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, sql);
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW)
		strlist_add(ids, journal_text(stmt, 0));
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_DONE;
}

bool journal_unfinished(struct strlist *ids)
{
	return list_ids("SELECT id FROM recalls WHERE finished = 0 AND "
			"approval IS NOT 'pending' ORDER BY created", ids);
}

bool journal_untold(struct strlist *ids)
{
	return list_ids("SELECT id FROM recalls WHERE untold = 1 AND "
			"finished > 0 ORDER BY created", ids);
}

bool journal_told(const char *id)
{
	bool ret = journal_exec(journal_lock(), "UPDATE recalls SET untold = 0 "
				"WHERE id = ? AND untold = 1", "s", id);

	journal_unlock();
	return ret;
}

void journal_purge(int64_t before)
{
	sqlite3 *db = journal_lock();

	(void)journal_exec(db, "DELETE FROM recalls WHERE finished > 0 AND "
			   "finished < ? AND id NOT IN (SELECT recall FROM "
			   "standing)", "i", before);
	(void)journal_exec(db, "DELETE FROM late WHERE seen < ?", "i",
			   before);
	journal_unlock();
}
