#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#include "recall-limits.h"
#include "address.h"
#include "alloc.h"

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

char *address_domain_to_ascii(const char *domain)
{
	char *ascii = NULL, *ret;
	const char *p;

	for (p = domain; *p != '\0' && (*p & 0x80) == 0; p++) ;
	if (*p == '\0')
		return NULL;
	if (idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT |
			     IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	ret = x_strdup(ascii);
	idn2_free(ascii);
	return ret;
}
