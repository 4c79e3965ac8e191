#ifndef HTTP_SOURCE_H
#define HTTP_SOURCE_H

#include <sys/socket.h>

#include "http-request.h"

/* The address as text. One of IPv4 that came in over a socket of IPv6 is
   written as the settings and other hops have it. */
void http_source_print(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN]);
/* Whether it is one of http.trusted_proxies. */
bool http_source_is_proxy(const struct config *config, const char *address);
/* Sets where the request came from, whatever proxies it came through. */
void http_source_set(struct http_request *request);

/* A header that may come in several lines, which make one list (RFC 9110, 5.3).
   The caller frees it; NULL if there is none. */
char *http_list_header(struct MHD_Connection *connection, const char *name);

/* Adds all cookies of the name, whatever others of the same host look like:
   libmicrohttpd reads none beside, or behind, one that is not as RFC 6265 wants
   it. There are several where another host of the domain has set one. */
void http_cookies(struct MHD_Connection *connection, const char *name,
		  struct strlist *values);
/* The first one, which the caller frees; NULL if there is none. */
char *http_cookie(struct MHD_Connection *connection, const char *name);

#endif
