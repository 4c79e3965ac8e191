#include <stdlib.h>
#include <time.h>

#include "approvals.h"
#include "journal-approval.h"
#include "log.h"
#include "recall-audit.h"

#define HOUR 3600

/* Whether it is more than one person may do, whoever it reaches. */
static bool is_grave(const struct config *config, const struct recall *recall)
{
	return (config->approval_force && recall->force) ||
	       (config->approval_query && recall->query.count > 0) ||
	       (config->approval_users > 0 && recall->everyone);
}

static bool is_recall(const struct recall *recall)
{
	return recall->kind == RECALL_EXPUNGE && !recall->dry_run;
}

bool approval_count(const struct config *config, const struct recall *recall)
{
	return is_recall(recall) && config->approval_users > 0 &&
	       !is_grave(config, recall);
}

bool approval_require(const struct config *config, struct recall *recall)
{
	int64_t before;

	recall->approval = RECALL_NEEDS_NONE;
	if (!is_recall(recall))
		return true;
	if (is_grave(config, recall) ||
	    (config->approval_users > 0 && recall->unidentified)) {
		recall->approval = RECALL_PENDING;
	} else if (config->approval_users > 0) {
		before = journal_recalled_users(recall);
		if (before < 0)
			return false;
		if (before + (int64_t)recall->count >= config->approval_users)
			recall->approval = RECALL_PENDING;
	}
	return true;
}

int64_t approval_expires(const struct config *config,
			 const struct recall *recall)
{
	return recall->created + config->approval_expire_hours * HOUR;
}

static void expire(const struct config *config, const char *id, int64_t now)
{
	struct recall *recall;
	bool claimed;

	if (journal_load(id, &recall) != JOURNAL_FOUND)
		return;
	recall->approval = RECALL_EXPIRED;
	recall->decided = now;
	if (journal_decide(recall, &claimed) && claimed)
		recall_audit_expired(config, recall);
	recall_free(recall);
}

void approvals_expire(const struct config *config)
{
	struct strlist ids = { NULL, 0, 0 };
	int64_t now = time(NULL);
	size_t i;

	if (journal_overdue(now - config->approval_expire_hours * HOUR, &ids)) {
		for (i = 0; i < ids.count; i++)
			expire(config, ids.items[i], now);
	}
	strlist_free(&ids);
}
