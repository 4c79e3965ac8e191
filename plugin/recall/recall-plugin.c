#include "lib.h"
#include "mail-storage-hooks.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "recall-settings.h"
#include "recall-mail-index.h"
#include "recall-mail-quarantine.h"
#include "recall-mail-standing.h"
#include "recall-plugin.h"

const char *recall_plugin_version = DOVECOT_ABI_VERSION;

static void recall_mail_user_created(struct mail_user *user)
{
	const char *error;

	if (recall_settings_init_user(user, &error) < 0 && user->error == NULL)
		user->error = p_strdup(user->pool, error);
	recall_mail_standing_user_created(user);
}

static void recall_mail_namespaces_created(struct mail_namespace *namespaces)
{
	recall_mail_standing_namespaces_created(namespaces->user);
}

static struct mail_storage_hooks recall_mail_storage_hooks = {
	.mail_user_created = recall_mail_user_created,
	.mail_namespaces_created = recall_mail_namespaces_created,
	.mailbox_allocated = recall_mail_index_mailbox_allocated,
};

static struct mail_storage_hooks recall_quarantine_hooks = {
	.mailbox_list_created = recall_mail_quarantine_list_created,
	.mailbox_allocated = recall_mail_quarantine_mailbox_allocated,
};

void recall_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &recall_mail_storage_hooks);
	mail_storage_hooks_add(module, &recall_quarantine_hooks);
}

void recall_plugin_deinit(void)
{
	mail_storage_hooks_remove(&recall_quarantine_hooks);
	mail_storage_hooks_remove(&recall_mail_storage_hooks);
	recall_mail_standing_deinit();
}
