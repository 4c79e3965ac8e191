#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include "http-request.h"

/* The route of the method and path, or NULL: then allow_r is what the path
   allows, or NULL if there is no such path. */
const struct http_route *
http_route_find(const char *method, const char *path, const char **allow_r);
/* The route of the same path for another value of the parameter "cmd", or
   NULL. */
const struct http_route *
http_route_command(const struct http_route *route, const char *cmd);

/* Answers the request as its route says: finds out who asks, looks at what is
   asked for, and calls the handler. Neither a handler without a caller who is
   known, nor a parameter that is not known, gets by. */
void http_route_run(struct http_request *request);

#endif
