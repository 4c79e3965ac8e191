#include "lib.h"
#include "mail-user.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-tenant.h"

bool recall_tenant_matches(const char *tenant, struct mail_user *user)
{
	return tenant == NULL ||
		null_strcmp(recall_userdb_field(user, RECALL_USERDB_TENANT),
			    tenant) == 0;
}
