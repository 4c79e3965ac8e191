#include <string.h>

#include "recall-limits.h"
#include "address.h"

const char *address_check(const char *address)
{
	const char *p;

	if (*address == '\0')
		return "has an empty address";
	if (strlen(address) > RECALL_ADDRESS_MAX)
		return "has an address that is too long";
	for (p = address; *p != '\0'; p++) {
		/* to doveadm these are masks, for many users or all */
		if (*p == '*' || *p == '?')
			return "has an address with a wildcard";
		/* no user is named so; but in quotes they may stand */
		if ((*p == ',' || *p == ';') && *address != '"')
			return "has several addresses in one";
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return "has an address with white space or a control "
			       "character";
	}
	return NULL;
}
