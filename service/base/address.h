#ifndef ADDRESS_H
#define ADDRESS_H

/* Checks an address of a mailbox. Returns why it is none, or NULL. */
const char *address_check(const char *address);

/* Returns the domain as the DNS has it (xn--...) if it is written with other
   characters than those of ASCII; the caller frees it. NULL if it is not. */
char *address_domain_to_ascii(const char *domain);

#endif
