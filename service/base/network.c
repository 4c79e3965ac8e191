#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "network.h"

void network_print(const char *address, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	if (inet_pton(AF_INET6, address, &in6) == 1 &&
	    !IN6_IS_ADDR_V4MAPPED(&in6)) {
		memset(&in6.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &in6, out, INET6_ADDRSTRLEN);
	} else {
		snprintf(out, INET6_ADDRSTRLEN, "%s", address);
	}
}
