#ifndef NETWORK_H
#define NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>

/* Writes the address; one of IPv4 as that, whatever socket it came in over. */
void network_print_in6(const struct in6_addr *in6, char out[INET6_ADDRSTRLEN]);
/* The same of how somebody else has written it. Returns false if it is none. */
bool network_print_address(const char *address, char out[INET6_ADDRSTRLEN]);
/* Whether they are one, however they are written. */
bool network_same_address(const char *address1, const char *address2);

/* What is counted for an address: whoever has one of IPv6 usually has its whole
   /64. */
void network_print(const char *address, char out[INET6_ADDRSTRLEN]);

#endif
