#ifndef RECALL_TENANT_NAME_H
#define RECALL_TENANT_NAME_H

/* The tenant of users, callers and tokens that name none. It is one as any
   other: its administrator sees to these users, and to no others. */
#define RECALL_TENANT_DEFAULT "default"

/* The tenant that a userdb field or a claim names; value may be NULL. */
const char *recall_tenant_name(const char *value);

#endif
