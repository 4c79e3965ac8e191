#ifndef HTTP_JSON_H
#define HTTP_JSON_H

#include <jansson.h>

/* Parses what a client sent. A few octets make a value of a hundred, so there
   are no more values than a request has a use for. Returns NULL with the reason
   in error_r if it is not valid: "is not valid JSON", "has too many values", or
   HTTP_NO_MEMORY. */
json_t *http_json_load(const char *text, size_t len, size_t flags,
		       const char **error_r);

#endif
