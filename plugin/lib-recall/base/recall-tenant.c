#include "lib.h"
#include "mail-user.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-tenant-name.h"
#include "recall-tenant.h"

bool recall_tenant_matches(const char *tenant, struct mail_user *user)
{
	const char *field;

	if (tenant == NULL)
		return TRUE;
	field = recall_userdb_field(user, RECALL_USERDB_TENANT);
	return strcmp(recall_tenant_name(field), tenant) == 0;
}
