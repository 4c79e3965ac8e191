#ifndef RECALL_TENANT_H
#define RECALL_TENANT_H

struct mail_user;

/* Whether the user belongs to the tenant; a tenant of NULL is any. */
bool recall_tenant_matches(const char *tenant, struct mail_user *user);

#endif
