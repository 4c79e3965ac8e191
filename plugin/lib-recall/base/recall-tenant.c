#include "lib.h"
#include "mail-user.h"
#include "recall-params.h"
#include "recall-tenant.h"

bool recall_tenant_matches(const char *tenant, struct mail_user *user)
{
	/* userdb fields that are no settings end up among the plugin ones */
	return tenant == NULL ||
		null_strcmp(mail_user_plugin_getenv(user, RECALL_USERDB_TENANT),
			    tenant) == 0;
}
