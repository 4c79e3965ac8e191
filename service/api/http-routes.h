#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include "http-request.h"

/* The route of the method and path, or NULL: then allow_r is what the path
   allows, or NULL if there is no such path. */
const struct http_route *
http_route_find(const char *method, const char *path, const char **allow_r);

#endif
