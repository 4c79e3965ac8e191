#include "lib.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "recall-settings.h"
#include "recall-quarantine-settings.h"

const char *recall_quarantine_get_prefix(struct mail_user *user)
{
	const char *prefix = recall_settings(user)->recall_quarantine;

	return *prefix == '\0' || strcmp(prefix, "off") == 0 ? NULL : prefix;
}

bool recall_quarantine_is_namespace(struct mail_namespace *ns)
{
	return null_strcmp(ns->prefix,
			   recall_quarantine_get_prefix(ns->user)) == 0;
}
