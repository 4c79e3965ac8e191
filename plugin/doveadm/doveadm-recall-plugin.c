#include "lib.h"
#include "doveadm.h"
#include "doveadm-recall-plugin.h"

const char *doveadm_recall_plugin_version = DOVECOT_ABI_VERSION;

void doveadm_recall_plugin_init(struct module *module ATTR_UNUSED)
{
}

void doveadm_recall_plugin_deinit(void)
{
}
