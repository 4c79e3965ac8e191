#include <stdio.h>

#include "journal-db.h"
#include "journal-webhook.h"

int journal_webhook_next(int64_t now, struct journal_webhook *webhook_r)
{
	sqlite3 *db = journal_lock();
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT id, recall, event, "
		"created, tries FROM webhooks WHERE "
		/* none waits for so long: the clock was set back */
		"next <= ?1 OR next > ?1 + (1 << min(tries, 12)) "
		"ORDER BY next, id LIMIT 1");
	int ret;

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, now);
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW) {
		webhook_r->id = sqlite3_column_int64(stmt, 0);
		snprintf(webhook_r->recall, sizeof(webhook_r->recall), "%s",
			 journal_text(stmt, 1));
		snprintf(webhook_r->event, sizeof(webhook_r->event), "%s",
			 journal_text(stmt, 2));
		webhook_r->created = sqlite3_column_int64(stmt, 3);
		webhook_r->tries = sqlite3_column_int(stmt, 4);
	}
	journal_release(stmt);
	journal_unlock();
	return ret == SQLITE_ROW ? 1 : ret == SQLITE_DONE ? 0 : -1;
}

bool journal_webhook_retry(int64_t id, int64_t next)
{
	bool ret = journal_exec(journal_lock(), "UPDATE webhooks SET "
				"tries = tries + 1, next = ? WHERE id = ?",
				"ii", next, id);

	journal_unlock();
	return ret;
}

bool journal_webhook_remove(int64_t id)
{
	bool ret = journal_exec(journal_lock(), "DELETE FROM webhooks WHERE "
				"id = ?", "i", id);

	journal_unlock();
	return ret;
}

void journal_webhooks_clear(void)
{
	(void)journal_exec(journal_lock(), "DELETE FROM webhooks", "");
	journal_unlock();
}
