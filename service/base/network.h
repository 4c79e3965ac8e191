#ifndef NETWORK_H
#define NETWORK_H

#include <netinet/in.h>

/* What is counted for an address: whoever has one of IPv6 usually has its whole
   /64. */
void network_print(const char *address, char out[INET6_ADDRSTRLEN]);

#endif
