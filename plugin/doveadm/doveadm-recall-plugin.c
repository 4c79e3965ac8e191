#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "smtp-submit-settings.h"
#include "doveadm.h"
#include "doveadm-cmd.h"
#include "doveadm-settings.h"
#include "doveadm-util.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-plugin.h"

const char *doveadm_recall_plugin_version = DOVECOT_ABI_VERSION;

static struct doveadm_cmd_ver2 *recall_commands[] = {
	&doveadm_cmd_recall_expunge,
	&doveadm_cmd_recall_fetch,
	&doveadm_cmd_recall_search,
	&doveadm_cmd_recall_index,
	&doveadm_cmd_recall_restore,
	&doveadm_cmd_recall_list,
	&doveadm_cmd_recall_purge,
	&doveadm_cmd_recall_users,
	&doveadm_cmd_recall_standing_begin,
	&doveadm_cmd_recall_standing_list,
	&doveadm_cmd_recall_standing_run,
	&doveadm_cmd_recall_standing_late,
	&doveadm_cmd_recall_standing_end,
	&doveadm_cmd_recall_export,
	&doveadm_cmd_recall_stop,
	&doveadm_cmd_recall_check,
};

/* Called as soon as the module has been loaded, which is before the command is
   looked up even where the module is not in doveadm's own module directory but
   comes in through mail_plugins (protocol doveadm). */
void doveadm_recall_plugin_preinit(void)
{
	unsigned int i;

	/* 2.3: At the shell doveconf gives doveadm the settings of modules that
	   it asks for, and no others. This comes too late for that if the
	   module comes in through mail_plugins. */
	recall_doveadm_setting_roots_add(&smtp_submit_setting_parser_info);
	for (i = 0; i < N_ELEMENTS(recall_commands); i++) {
		if (doveadm_cmd_find_ver2(recall_commands[i]->name) == NULL)
			recall_cmd_register(recall_commands[i]);
	}
}

void doveadm_recall_plugin_init(struct module *module ATTR_UNUSED)
{
}

void doveadm_recall_plugin_deinit(void)
{
}
