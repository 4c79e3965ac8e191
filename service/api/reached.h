#ifndef REACHED_H
#define REACHED_H

#include "doveadm-client.h"
#include "http-request.h"

/* Whether doveadm has answered, be it with a refusal. If not, the request is
   answered with 502, or with 504 if it took too long. */
bool reached(struct http_request *request, enum doveadm_result result);

#endif
