#ifndef RIGHTS_H
#define RIGHTS_H

#include <jansson.h>

#include "http-request.h"

/* What the settings let who has signed in ask for, so that the console does not
   offer what would be refused. It decides nothing: routes and handlers do. The
   caller gets the reference. */
json_t *rights_to_json(const struct http_request *request);

#endif
