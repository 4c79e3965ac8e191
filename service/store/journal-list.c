#include <stdlib.h>

#include "journal-db.h"
#include "journal-list.h"
#include "journal-visible.h"
#include "strlist-json.h"

/* How many users have which verdict. Returns NULL if that can't be read. */
static json_t *count_verdicts(sqlite3 *db, const char *id, json_int_t *done_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT status, COUNT(*) FROM "
		"verdicts WHERE recall = ? AND status IS NOT NULL GROUP BY "
		"status");
	json_t *json = json_object();
	int ret;

	*done_r = 0;
	journal_bind_text(stmt, 1, id);
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		*done_r += sqlite3_column_int64(stmt, 1);
		json_object_set_new(json,
			journal_text(stmt, 0),
			json_integer(sqlite3_column_int64(stmt, 1)));
	}
	journal_release(stmt);
	if (ret == SQLITE_DONE)
		return json;
	json_decref(json);
	return NULL;
}

/* Of the columns that list() asks for. */
static json_t *read_row(sqlite3 *db, sqlite3_stmt *stmt)
{
	json_int_t done, finished = sqlite3_column_int64(stmt, 2);
	json_t *summary, *json;

	summary = count_verdicts(db, journal_text(stmt, 0), &done);
	if (summary == NULL)
		return NULL;
	json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, "
			 "s:b, s:b, s:b, s:o}",
		"id", journal_text(stmt, 0), "cmd", journal_text(stmt, 6),
		"messageid", journal_text(stmt, 3),
		"actor", journal_text(stmt, 4),
		"state", recall_state_name(
			recall_approval_parse(journal_text(stmt, 13)),
			finished != 0),
		"created", (json_int_t)sqlite3_column_int64(stmt, 1),
		"finished", finished,
		"total", (json_int_t)sqlite3_column_int64(stmt, 5),
		"done", done, "reason", journal_text(stmt, 7),
		"force", sqlite3_column_int(stmt, 8),
		"notify", sqlite3_column_int(stmt, 9),
		"dry_run", sqlite3_column_int(stmt, 10), "summary", summary);
	if (journal_text(stmt, 11) != NULL)
		json_object_set_new(json, "query", json_loads(
				    journal_text(stmt, 11), 0, NULL));
	if (journal_text(stmt, 14) != NULL)
		json_object_set_new(json, "approver",
				    json_string(journal_text(stmt, 14)));
	/* what is known of them are hits and failures */
	if (sqlite3_column_int(stmt, 15) != 0) {
		json_object_set_new(json, "all", json_true());
		json_object_set(json, "done", json_object_get(json, "total"));
	}
	if (journal_text(stmt, 12) != NULL)
		json_object_set_new(json, "recall",
				    json_string(journal_text(stmt, 12)));
	return json;
}

/* recall_json_state() */
#define STATE_SQL \
	"CASE WHEN approval = 'pending' THEN 'pending_approval' " \
	"WHEN approval IN ('rejected', 'expired') THEN approval " \
	"WHEN finished <> 0 THEN 'finished' " \
	"WHEN id IN (SELECT value FROM json_each(?16)) THEN 'paused' " \
	"ELSE 'running' END"

static void bind(sqlite3_stmt *stmt, const struct identity *identity,
		 const struct journal_filter *filter)
{
	char *paused;

	journal_visible_bind(stmt, identity);
	sqlite3_bind_int64(stmt, 2, filter->before);
	sqlite3_bind_int64(stmt, 3, filter->limit);
	journal_bind_text(stmt, 4, filter->before_id);
	journal_bind_text(stmt, 5, filter->cmd);
	journal_bind_text(stmt, 6, filter->actor);
	journal_bind_text(stmt, 7, filter->message_id);
	journal_bind_text(stmt, 8, filter->reason);
	journal_bind_text(stmt, 9, filter->query);
	sqlite3_bind_int(stmt, 10, filter->force);
	sqlite3_bind_int(stmt, 11, filter->notify);
	sqlite3_bind_int(stmt, 12, filter->dry_run);
	journal_bind_text(stmt, 13, filter->status);
	sqlite3_bind_int64(stmt, 14, filter->since);
	journal_bind_text(stmt, 15, filter->state);
	paused = strlist_to_json_text(&filter->paused);
	journal_bind_text(stmt, 16, paused);
	free(paused);
}

static json_t *list(sqlite3 *db, const struct identity *identity,
		    const struct journal_filter *filter)
{
	json_t *rows = json_array(), *row;
	sqlite3_stmt *stmt;
	int ret;

	stmt = journal_prepare(db, "SELECT id, created, finished, messageid, "
		"actor, users, cmd, reason, force, notify, dry_run, query, "
		"target, approval, approver, everyone FROM recalls WHERE "
		JOURNAL_VISIBLE_SQL " AND (?2 = 0 OR created < ?2) "
		/* many may be of the same second */
		"AND (?4 IS NULL OR (created, rowid) < (SELECT created, rowid "
		"FROM recalls WHERE id = ?4)) "
		"AND (?5 IS NULL OR cmd = ?5) "
		"AND (?6 IS NULL OR actor = ?6 COLLATE NOCASE) "
		"AND (?7 IS NULL OR trim(messageid, '<> ') = trim(?7, '<> ')) "
		"AND (?8 IS NULL OR instr(lower(reason), lower(?8)) > 0) "
		"AND (?9 IS NULL OR instr(lower(query), lower(?9)) > 0) "
		"AND (?10 < 0 OR force = ?10) AND (?11 < 0 OR notify = ?11) "
		"AND (?12 < 0 OR dry_run = ?12) "
		"AND (?13 IS NULL OR EXISTS (SELECT 1 FROM verdicts WHERE "
		"recall = id AND status = ?13)) "
		"AND created >= ?14 "
		"AND (?15 IS NULL OR " STATE_SQL " = ?15) "
		"ORDER BY created DESC, rowid DESC LIMIT ?3");
	if (stmt != NULL)
		bind(stmt, identity, filter);
	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		/* as it was when the first row was read */
		row = read_row(db, stmt);
		if (row == NULL)
			break;
		json_array_append_new(rows, row);
	}
	journal_release(stmt);
	if (ret == SQLITE_DONE)
		return rows;
	json_decref(rows);
	return NULL;
}

json_t *journal_list(const struct identity *identity,
		     const struct journal_filter *filter)
{
	json_t *rows = list(journal_lock_reader(), identity, filter);

	journal_unlock_reader();
	return rows;
}
