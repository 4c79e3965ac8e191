#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http-request.h"

/* Bodies take memory while they come, and until their requests are answered. All
   together have a limit, and so have those of one caller: the login of a valid
   token, or else the address. */

/* Whose it is from now on; what there is of it moves along. */
void http_body_set_caller(struct http_request *request, const char *caller);
/* Returns false if that would be too much, or there is no memory: then nothing
   of the body is kept, and body_refused says why. */
bool http_body_add(struct http_request *request, const char *data, size_t size);
/* Nothing of it is kept any more. */
void http_body_drop(struct http_request *request);
/* Answers a request whose body was refused. */
void http_body_reply(struct http_request *request);

/* Octets of all bodies there are. */
uint64_t http_body_total(void);

#endif
