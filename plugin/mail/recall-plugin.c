#include "lib.h"
#include "mail-storage-hooks.h"
#include "recall-mail-index.h"
#include "recall-plugin.h"

const char *recall_plugin_version = DOVECOT_ABI_VERSION;

static struct mail_storage_hooks recall_mail_storage_hooks = {
	.mailbox_allocated = recall_mail_index_mailbox_allocated,
};

void recall_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &recall_mail_storage_hooks);
}

void recall_plugin_deinit(void)
{
	mail_storage_hooks_remove(&recall_mail_storage_hooks);
}
