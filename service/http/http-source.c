#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "http-source.h"
#include "network.h"
#include "strbuf.h"
#include "strlist.h"

static enum MHD_Result
add_header(void *context, enum MHD_ValueKind kind, const char *name,
	   const char *value)
{
	struct strlist *list = context;

	(void)kind;
	if (strcasecmp(name, list->items[0]) == 0 && value != NULL)
		strlist_add(list, value);
	return MHD_YES;
}

/* Adds the header's name, and the values of all of its lines. */
static void get_header(struct MHD_Connection *connection, const char *name,
		       struct strlist *list)
{
	strlist_add(list, name);
	MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header,
				  list);
}

char *http_list_header(struct MHD_Connection *connection, const char *name)
{
	struct strlist list = { NULL, 0, 0 };
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	get_header(connection, name, &list);
	for (i = 1; i < list.count; i++)
		strbuf_addf(&b, "%s%s", i == 1 ? "" : ", ", list.items[i]);
	strlist_free(&list);
	return b.data;
}

/* Adds the values that the cookie has in a line of "name=value; name=value". */
static void
cookies_in(const char *line, const char *name, struct strlist *values)
{
	size_t name_len = strlen(name), len;
	char *value;

	for (; *line != '\0'; line += len) {
		line += strspn(line, "; \t");
		len = strcspn(line, ";");
		if (len <= name_len || strncmp(line, name, name_len) != 0 ||
		    line[name_len] != '=')
			continue;
		value = x_strndup(line + name_len + 1,
				  strcspn(line + name_len + 1, "; \t"));
		strlist_add(values, value);
		free_secret(value);
	}
}

void http_cookies(struct MHD_Connection *connection, const char *name,
		  struct strlist *values)
{
	struct strlist list = { NULL, 0, 0 };
	size_t i;

	get_header(connection, "Cookie", &list);
	for (i = 1; i < list.count; i++)
		cookies_in(list.items[i], name, values);
	strlist_free_secret(&list);
}

char *http_cookie(struct MHD_Connection *connection, const char *name)
{
	struct strlist values = { NULL, 0, 0 };
	char *value;

	http_cookies(connection, name, &values);
	value = values.count == 0 ? NULL : x_strdup(values.items[0]);
	strlist_free_secret(&values);
	return value;
}

bool http_source_is_proxy(const struct config *config, const char *address)
{
	struct strlist proxies = { NULL, 0, 0 };
	bool found = false;
	size_t i;

	strlist_split(&proxies, config->http_trusted_proxies);
	for (i = 0; i < proxies.count && !found; i++)
		found = network_same_address(proxies.items[i], address);
	strlist_free(&proxies);
	return found;
}

/* The last hop that is not one of our own proxies. Each proxy adds the address
   it was asked from at the end. */
static void forwarded_source(struct http_request *request)
{
	struct strlist hops = { NULL, 0, 0 };
	char *value;

	value = http_list_header(request->connection, "X-Forwarded-For");
	if (value != NULL)
		strlist_split(&hops, value);
	free(value);
	while (hops.count > 0 &&
	       http_source_is_proxy(request->config, request->source)) {
		/* what the proxy says is not understood; what stands before it
		   may be the client's invention */
		if (!network_print_address(hops.items[hops.count - 1],
					   request->source))
			break;
		free(hops.items[--hops.count]);
	}
	strlist_free(&hops);
}

void http_source_print(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN])
{
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)sa)->sin_addr, out,
			  INET6_ADDRSTRLEN);
	else
		network_print_in6(&((struct sockaddr_in6 *)sa)->sin6_addr, out);
}

void http_source_set(struct http_request *request)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(request->connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info == NULL || info->client_addr == NULL)
		return;
	http_source_print(info->client_addr, request->source);
	if (*request->config->http_trusted_proxies != '\0')
		forwarded_source(request);
}
