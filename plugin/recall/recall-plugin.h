#ifndef RECALL_PLUGIN_H
#define RECALL_PLUGIN_H

struct module;

extern const char *recall_plugin_version;

void recall_plugin_init(struct module *module);
void recall_plugin_deinit(void);

#endif
