#ifndef DOVEADM_RECALL_PLUGIN_H
#define DOVEADM_RECALL_PLUGIN_H

struct module;

extern struct doveadm_cmd_ver2 doveadm_cmd_recall_expunge;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_fetch;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_search;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_users;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_index;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_restore;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_purge;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_late;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_standing_end;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_stop;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_check;

extern const char *doveadm_recall_plugin_version;

void doveadm_recall_plugin_preinit(void);
void doveadm_recall_plugin_init(struct module *module);
void doveadm_recall_plugin_deinit(void);

#endif
