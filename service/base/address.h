#ifndef ADDRESS_H
#define ADDRESS_H

/* Checks an address of a mailbox. Returns why it is none, or NULL. */
const char *address_check(const char *address);

#endif
