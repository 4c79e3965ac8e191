#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "network.h"

static bool parse(const char *address, struct in6_addr *in6_r)
{
	memset(in6_r, 0, sizeof(*in6_r));
	if (inet_pton(AF_INET, address, &in6_r->s6_addr[12]) != 1)
		return inet_pton(AF_INET6, address, in6_r) == 1;
	memset(&in6_r->s6_addr[10], 0xff, 2);
	return true;
}

bool network_same_address(const char *address1, const char *address2)
{
	struct in6_addr in6_1, in6_2;

	return parse(address1, &in6_1) && parse(address2, &in6_2) &&
	       IN6_ARE_ADDR_EQUAL(&in6_1, &in6_2);
}

void network_print_in6(const struct in6_addr *in6, char out[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(in6))
		inet_ntop(AF_INET, &in6->s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, in6, out, INET6_ADDRSTRLEN);
}

bool network_print_address(const char *address, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	if (!parse(address, &in6))
		return false;
	network_print_in6(&in6, out);
	return true;
}

void network_print(const char *address, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	if (!parse(address, &in6)) {
		snprintf(out, INET6_ADDRSTRLEN, "%s", address);
		return;
	}
	if (!IN6_IS_ADDR_V4MAPPED(&in6))
		memset(&in6.s6_addr[8], 0, 8);
	network_print_in6(&in6, out);
}
