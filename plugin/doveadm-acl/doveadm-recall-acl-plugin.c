#include "lib.h"
#include "array.h"
#include "doveadm.h"
#include "doveadm-cmd.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-acl-plugin.h"

/* A module of its own, since it needs the acl plugin's symbols: doveadm passes
   over it where acl is not among the mail_plugins. */

const char *doveadm_recall_acl_plugin_version = DOVECOT_ABI_VERSION;

static struct doveadm_cmd_ver2 *recall_acl_commands[] = {
	&doveadm_cmd_recall_share,
	&doveadm_cmd_recall_unshare,
	&doveadm_cmd_recall_shares,
};

/* Called as soon as the module has been loaded: see
   doveadm_recall_plugin_preinit(). */
void doveadm_recall_acl_plugin_preinit(void)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(recall_acl_commands); i++) {
		if (doveadm_cmd_find_ver2(recall_acl_commands[i]->name) == NULL)
			recall_cmd_register(recall_acl_commands[i]);
	}
}

void doveadm_recall_acl_plugin_init(struct module *module ATTR_UNUSED)
{
}

void doveadm_recall_acl_plugin_deinit(void)
{
}
