#ifndef ROUTES_H
#define ROUTES_H

#include <stddef.h>

#include "http-request.h"

/* The one list of what can be asked for: with which parameters, and who may
   ask. What is not let in by its columns never reaches a handler.
   docs/openapi.json has the same; a test compares them. */
extern const struct http_route api_routes[];
extern const size_t api_routes_count;

#endif
