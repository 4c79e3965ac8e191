#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-verdict.h"
#include "alloc.h"
#include "audit-cef.h"
#include "audit-log.h"
#include "clock.h"
#include "journal.h"
#include "log.h"
#include "recall-audit.h"
#include "strbuf.h"

/* A recall whose line may still wait, or of which the journal does not know
   that it is written. */
struct wait {
	char id[RECALL_ID_LEN + 1];
	/* audit_log_lost() before that line */
	uint64_t lost;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct wait *waiting;
static size_t waiting_count;

void recall_audited(const char *id, uint64_t lost)
{
	struct wait *wait;

	pthread_mutex_lock(&lock);
	waiting = x_realloc(waiting, (waiting_count + 1) * sizeof(*waiting));
	wait = &waiting[waiting_count++];
	snprintf(wait->id, sizeof(wait->id), "%s", id);
	wait->lost = lost;
	pthread_mutex_unlock(&lock);
}

/* Writes the end of a recall as the journal has it; one that goes on has
   another end. */
static enum journal_result
write_anew(const struct config *config, const char *id)
{
	enum journal_result ret;
	struct recall *recall;

	ret = journal_load(id, &recall);
	if (ret != JOURNAL_FOUND)
		return ret;
	if (recall->approval == RECALL_EXPIRED)
		recall_audit_expired(config, recall);
	else if (recall->finished != 0)
		recall_audit(config, recall);
	recall_free(recall);
	return ret;
}

/* Returns false if it waits on. The line may be among those that were given
   up. */
static bool settle(const struct config *config, const struct wait *wait)
{
	return wait->lost == audit_log_lost() ? journal_told(wait->id) :
		write_anew(config, wait->id) != JOURNAL_FAILED;
}

void recall_audit_tick(const struct config *config)
{
	struct wait *waits;
	size_t i, count, n = 0;

	pthread_mutex_lock(&lock);
	waits = waiting;
	count = waiting_count;
	waiting = NULL;
	waiting_count = 0;
	pthread_mutex_unlock(&lock);
	if (audit_log_retry(config)) {
		while (n < count && settle(config, &waits[n]))
			n++;
	}
	/* one that is damaged is not to hold up the others: it comes last */
	for (i = n + 1; i < count; i++)
		recall_audited(waits[i].id, waits[i].lost);
	if (n < count)
		recall_audited(waits[n].id, waits[n].lost);
	free(waits);
}

/* Writes the line of the recall's end, and frees it. */
static void write_end(const struct config *config, const char *id, char *line)
{
	const uint64_t lost = audit_log_lost();

	if ((line != NULL && !audit_log_write(config, line)) ||
	    !journal_told(id))
		recall_audited(id, lost);
}

/* Of an alias also whose mailbox it is. */
static char *user_text(const struct recall_user *user)
{
	const char *verdict = user->verdict < 0 ? "-" :
		recall_verdict_name(user->verdict);

	if (user->mailbox_user == NULL ||
	    strcasecmp(user->mailbox_user, user->email) == 0)
		return x_asprintf("%s:%s", user->email, verdict);
	return x_asprintf("%s(%s):%s", user->email, user->mailbox_user,
			  verdict);
}

static char *list_users(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	char *item;
	bool fits = true;
	size_t i;

	/* those of everyone who had it, or could not be looked at */
	strbuf_add(&b, "*", recall->everyone ? 1 : 0);
	for (i = 0; i < recall->count && fits; i++) {
		item = user_text(&recall->users[i]);
		fits = audit_list_add(&b, item, recall->count - i);
		free(item);
	}
	return b.data;
}

static char *list_verdicts(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i, n;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		n = recall_count(recall, i);
		if (n > 0)
			strbuf_addf(&b, "%s%s:%zu", b.len == 0 ? "" : ",",
				    recall_verdict_name(i), n);
	}
	return b.data;
}

static void begin_recall(struct strbuf *line, const struct config *config,
			 const struct recall *recall, bool refused)
{
	enum audit_severity severity = refused ? AUDIT_REFUSED : AUDIT_DONE;

	/* rules that wait for recalls must not take it for one */
	if (recall->dry_run)
		audit_cef_begin(line, config, "recall-dry-run",
				"Message recall, dry run", severity);
	else if (recall->kind == RECALL_RESTORE)
		audit_cef_begin(line, config, "restore", "Message restore",
				severity);
	else
		audit_cef_begin(line, config, "recall", "Message recall",
				severity);
}

void recall_audit(const struct config *config, const struct recall *recall)
{
	struct strbuf line = { NULL, 0, 0 };
	size_t errors = recall_count(recall, RECALL_VERDICT_ERROR), refused;
	char *users, *verdicts, *query;

	/* mail of another tenant, or that somebody else sent */
	refused = recall_count(recall, RECALL_VERDICT_FORBIDDEN) +
		recall_count(recall, RECALL_VERDICT_NOT_SENDER);
	log_info("recall %s%s: %s from %s: %zu users, %zu expunged, %zu errors",
		 recall->id, recall->dry_run ? " (dry run)" : "",
		 recall->actor.login, recall->source, recall->count,
		 recall_count(recall, RECALL_VERDICT_EXPUNGED), errors);
	if (!config->audit_cef_enabled) {
		write_end(config, recall->id, NULL);
		return;
	}
	users = list_users(recall);
	verdicts = list_verdicts(recall);
	query = recall_query_text(recall);
	begin_recall(&line, config, recall, refused > 0);
	audit_cef_add(&line, AUDIT_SOURCE, recall->source);
	audit_cef_add(&line, AUDIT_LOGIN, recall->actor.login);
	audit_cef_add(&line, AUDIT_TENANT, recall->actor.tenant);
	audit_cef_add_outcome(&line, errors + refused == 0);
	audit_cef_add(&line, AUDIT_APPROVER, recall->approver);
	audit_cef_add(&line, AUDIT_ID, recall->id);
	if (recall->query.count == 0)
		audit_cef_add(&line, AUDIT_MESSAGE_ID, recall->message_id);
	audit_cef_add(&line, AUDIT_QUERY, query);
	audit_cef_add(&line, AUDIT_USERS, users);
	audit_cef_add(&line, AUDIT_VERDICTS, verdicts);
	audit_cef_add(&line, AUDIT_RECALL, recall->target);
	if (recall->kind == RECALL_EXPUNGE) {
		audit_cef_add_number(&line, AUDIT_FORCE, recall->force);
		audit_cef_add_number(&line, AUDIT_NOTIFY, recall->notify);
		audit_cef_add_number(&line, AUDIT_DRY_RUN, recall->dry_run);
	}
	audit_cef_add(&line, AUDIT_IDEMPOTENCY_KEY, recall->key);
	audit_cef_add(&line, AUDIT_REASON, recall->reason);
	write_end(config, recall->id, line.data);
	free(users);
	free(verdicts);
	free(query);
}

void recall_audit_expired(const struct config *config,
			  const struct recall *recall)
{
	struct strbuf line = { NULL, 0, 0 };

	log_info("recall %s: nobody has approved it in time", recall->id);
	if (!config->audit_cef_enabled) {
		write_end(config, recall->id, NULL);
		return;
	}
	audit_cef_begin(&line, config, "approval-expired", "Message recall not "
			"approved in time", AUDIT_REFUSED);
	audit_cef_add(&line, AUDIT_LOGIN, recall->actor.login);
	audit_cef_add(&line, AUDIT_TENANT, recall->actor.tenant);
	audit_cef_add_outcome(&line, false);
	audit_cef_add(&line, AUDIT_RECALL, recall->id);
	audit_cef_add(&line, AUDIT_REASON, recall->reason);
	write_end(config, recall->id, line.data);
}

void recall_audit_resume(const struct config *config)
{
	struct strlist ids = { NULL, 0, 0 };
	size_t i;

	(void)journal_untold(&ids);
	for (i = 0; i < ids.count; i++)
		(void)write_anew(config, ids.items[i]);
	strlist_free(&ids);
}

/* As of the recall, whoever asked for it. */
static void add_late_recall(struct strbuf *line, const struct recall *recall)
{
	char *query = recall_query_text(recall);

	audit_cef_add(line, AUDIT_LOGIN, recall->actor.login);
	audit_cef_add(line, AUDIT_TENANT, recall->actor.tenant);
	if (recall->query.count == 0)
		audit_cef_add(line, AUDIT_MESSAGE_ID, recall->message_id);
	audit_cef_add(line, AUDIT_QUERY, query);
	free(query);
}

bool recall_audit_late(const struct config *config,
		       const struct recall *recall,
		       const struct journal_late *late)
{
	struct strbuf line = { NULL, 0, 0 };
	char *users;

	log_info("recall %s: %lld copies of %s came late, at %s", late->recall,
		 (long long)late->copies, late->username, late->date);
	if (!config->audit_cef_enabled)
		return true;
	audit_cef_begin(&line, config, "recall-late", "Late message recalled",
			AUDIT_DONE);
	audit_cef_add_outcome(&line, true);
	if (recall != NULL)
		add_late_recall(&line, recall);
	audit_cef_add_number(&line, AUDIT_UNTIL, parse_utc(late->date) * 1000);
	audit_cef_add(&line, AUDIT_ID, late->recall);
	users = x_asprintf("%s:%s", late->username,
			   recall_verdict_name(RECALL_VERDICT_EXPUNGED));
	audit_cef_add(&line, AUDIT_USERS, users);
	free(users);
	audit_cef_add_number(&line, AUDIT_COUNT, late->copies);
	audit_cef_add(&line, AUDIT_MAILBOX, late->mailboxes);
	if (recall != NULL)
		audit_cef_add(&line, AUDIT_REASON, recall->reason);
	return audit_log_write(config, line.data);
}

void recall_audit_late_left(const struct config *config, const char *url,
			    int64_t rows)
{
	struct strbuf line = { NULL, 0, 0 };
	char *text;

	text = x_asprintf("%s tells of more late recalls than "
			  "audit.late_per_hour: they wait", url);
	log_warning("%s (%lld)", text, (long long)rows);
	if (config->audit_cef_enabled) {
		audit_cef_begin(&line, config, "left-out", "Late recalls, "
				"lines left out", AUDIT_REFUSED);
		audit_cef_add_outcome(&line, false);
		audit_cef_add_number(&line, AUDIT_COUNT, rows);
		audit_cef_add(&line, AUDIT_MESSAGE, text);
		(void)audit_log_write(config, line.data);
	}
	free(text);
}
