#ifndef ROUTES_H
#define ROUTES_H

#include "http-server.h"

/* The route of the method and path, or NULL: then allow_r is what the path
   allows, or NULL if there is no such path. */
const struct http_route *
route_find(const char *method, const char *path, const char **allow_r);

/* What the server asks for each request. */
extern const struct http_api routes_api;

#endif
