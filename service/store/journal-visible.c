#include <string.h>
#include <strings.h>

#include "journal-visible.h"

static const char pointer_type[] = "identity";

static bool may_see(const struct identity *identity, const char *actor,
		    const char *tenant, enum role role)
{
	switch (identity->role) {
	case ROLE_SUPER:
		return true;
	case ROLE_ADMIN:
		return role != ROLE_SUPER &&
		       strcmp(identity->tenant, tenant) == 0;
	case ROLE_USER:
		return strcasecmp(identity->login, actor) == 0;
	case ROLE_NONE:
		break;
	}
	return false;
}

bool journal_visible(const struct identity *identity,
		     const struct recall *recall)
{
	return may_see(identity, recall->actor.login, recall->actor.tenant,
		       recall->actor.role);
}

static void visible(sqlite3_context *context, int count, sqlite3_value **args)
{
	const struct identity *identity = sqlite3_value_pointer(args[0],
								pointer_type);
	const char *actor = (const char *)sqlite3_value_text(args[1]);
	const char *tenant = (const char *)sqlite3_value_text(args[2]);

	(void)count;
	sqlite3_result_int(context, identity != NULL && actor != NULL &&
		tenant != NULL && may_see(identity, actor, tenant,
			(enum role)sqlite3_value_int(args[3])));
}

int journal_visible_register(sqlite3 *db)
{
	return sqlite3_create_function(db, "visible", 4, SQLITE_UTF8, NULL,
				       visible, NULL, NULL);
}

void journal_visible_bind(sqlite3_stmt *stmt, const struct identity *identity)
{
	if (stmt != NULL)
		sqlite3_bind_pointer(stmt, 1, (void *)identity, pointer_type,
				     NULL);
}
