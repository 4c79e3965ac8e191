#include "lib.h"
#include "mail-storage-hooks.h"
#include "recall-mail-index.h"
#include "recall-mail-quarantine.h"
#include "recall-plugin.h"

const char *recall_plugin_version = DOVECOT_ABI_VERSION;

static struct mail_storage_hooks recall_mail_storage_hooks = {
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
}
