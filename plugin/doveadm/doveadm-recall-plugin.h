#ifndef DOVEADM_RECALL_PLUGIN_H
#define DOVEADM_RECALL_PLUGIN_H

struct module;

void doveadm_recall_plugin_init(struct module *module);
void doveadm_recall_plugin_deinit(void);

#endif
