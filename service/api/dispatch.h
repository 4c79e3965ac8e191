#ifndef DISPATCH_H
#define DISPATCH_H

#include "http-server.h"

/* The route of the method and path, or NULL: then allow_r is what the path
   allows, or NULL if there is no such path. */
const struct http_route *
route_find(const char *method, const char *path, const char **allow_r);

/* Whether the caller, who is known, may ask this, as the route has it. */
bool route_may(const struct http_request *request);

/* What the server asks for each request. */
extern const struct http_api dispatch_api;

#endif
