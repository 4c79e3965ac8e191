#ifndef NETWORK_H
#define NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>

/* Whether they are one, however they are written. */
bool network_same_address(const char *address1, const char *address2);

/* What is counted for an address: whoever has one of IPv6 usually has its whole
   /64. */
void network_print(const char *address, char out[INET6_ADDRSTRLEN]);

#endif
