#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include "http-request.h"

/* Takes the parameters out of the body. Answers the request itself and returns
   false if it cannot. */
bool http_request_parse(struct http_request *request);

/* The parameter's value or NULL. If it was given more than once, the request
   is answered and *ok set to false. */
const char *http_request_param(struct http_request *request, const char *name,
			       bool *ok);

#endif
