#ifndef DOVEADM_RECALL_ACL_PLUGIN_H
#define DOVEADM_RECALL_ACL_PLUGIN_H

struct module;

extern struct doveadm_cmd_ver2 doveadm_cmd_recall_share;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_unshare;
extern struct doveadm_cmd_ver2 doveadm_cmd_recall_shares;

extern const char *doveadm_recall_acl_plugin_version;

void doveadm_recall_acl_plugin_preinit(void);
void doveadm_recall_acl_plugin_init(struct module *module);
void doveadm_recall_acl_plugin_deinit(void);

#endif
