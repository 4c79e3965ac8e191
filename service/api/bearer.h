#ifndef BEARER_H
#define BEARER_H

#include "http-request.h"

/* Who asks, by the access token of the Authorization header (RFC 6750). */

/* Sets the request's identity. Answers 401 and returns false if nobody has a
   valid token, or, unless it is allowed, if it is expired. */
bool bearer_authenticate(struct http_request *request, bool allow_expired);
/* The name of who has a valid token, for what has to be known before the whole
   request is there; the caller frees it. NULL if nobody does. Answers
   nothing. */
char *bearer_caller(const struct http_request *request);
/* 401: the token is none, or none that is good. */
void bearer_reply_invalid(struct http_request *request);

#endif
