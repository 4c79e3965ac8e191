#include <string.h>

#include "recall-tenant-name.h"
#include "approvals.h"
#include "asker.h"
#include "brakes.h"
#include "log.h"
#include "revocation.h"
#include "userdb.h"

/* Until when tokens were revoked counts: the one that it was asked for with
   may have been issued a moment before; or in spite of them, which it says. */
static bool is_revoked(const struct recall *recall)
{
	int64_t since = recall->actor.issued > recall->created ?
		recall->actor.issued : recall->created;

	return revocation_until(&recall->actor) >= since;
}

static const char *check_settings(const struct config *config,
				  const struct recall *recall)
{
	if (recall->actor.role != ROLE_USER)
		return NULL;
	if (!config->auth_revoke_email)
		return "users may not recall any more";
	if (recall->force && !config->auth_force_revoke)
		return "users may not force a recall any more";
	return NULL;
}

/* A role that is more than it was does not take anything away. */
static bool has_role(enum role now, enum role then)
{
	return now == then || now == ROLE_SUPER ||
	       (now == ROLE_ADMIN && then == ROLE_USER);
}

static const char *
check_now(const struct recall *recall, const struct identity *now,
	  const struct strlist *addresses)
{
	const struct identity *then = &recall->actor;
	size_t i;

	if (!has_role(now->role, then->role))
		return "the role is not what it was";
	/* that of a super administrator says nothing */
	if (then->role != ROLE_SUPER &&
	    strcmp(recall_tenant_name(now->tenant),
		   recall_tenant_name(then->tenant)) != 0)
		return "the tenant is another one now";
	for (i = 0; i < recall->senders.count; i++) {
		if (!strlist_has_nocase(addresses, recall->senders.items[i]))
			return "an address of the sender belongs to somebody "
				"else now";
	}
	return NULL;
}

static enum doveadm_result
check_userdb(struct config *config, const struct recall *recall,
	     const char **why_r)
{
	struct strlist addresses = { NULL, 0, 0 };
	enum doveadm_result result;
	struct identity now;

	strlist_add(&addresses, recall->actor.login);
	result = userdb_lookup(config, recall->actor.login, &now, &addresses);
	if (result == DOVEADM_FAILED)
		*why_r = "there is no such user any more, or it is locked";
	else if (result == DOVEADM_OK)
		*why_r = check_now(recall, &now, &addresses);
	identity_clear(&now);
	strlist_free(&addresses);
	return *why_r != NULL ? DOVEADM_FAILED : result;
}

enum doveadm_result
asker_check(struct config *config, const struct recall *recall,
	    const char **why_r)
{
	*why_r = is_revoked(recall) ? "the tokens were revoked" :
		check_settings(config, recall);
	if (*why_r != NULL)
		return DOVEADM_FAILED;
	return config->approval_check_asker ?
		check_userdb(config, recall, why_r) : DOVEADM_OK;
}

void asker_identify(struct config *config, struct recall *recall)
{
	enum doveadm_result result;

	if (!brakes_count(config, recall) && !approval_count(config, recall))
		return;
	result = userdb_names(config, recall->actor.login, &recall->names,
			      &recall->person);
	/* whom the userdb does not know has no other name */
	recall->unidentified = result == DOVEADM_UNREACHABLE ||
		result == DOVEADM_TIMEOUT;
	if (recall->unidentified)
		log_warning("recall %s: of %s no other names are known now",
			    recall->id, recall->actor.login);
}
