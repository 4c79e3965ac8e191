#include <stddef.h>

#include "recall-tenant-name.h"

const char *recall_tenant_name(const char *value)
{
	return value == NULL || *value == '\0' ? RECALL_TENANT_DEFAULT : value;
}
