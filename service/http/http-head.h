#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <microhttpd.h>

/* What a request's head says of the request as a whole, as far as libmicrohttpd
   does not look at it itself. */

/* Why it can't be told what the head means, e.g. where the body ends, or NULL.
   Where others read it in another way than we do, a second request could be
   hidden in the first. *status_r is the status to answer; the connection has to
   be closed then. */
const char *http_head_check(struct MHD_Connection *connection,
			    const char *version, unsigned int *status_r);

/* The path of a request's target, which may be a whole URL (RFC 9112, 3.2.2):
   whose it is does not matter. */
const char *http_head_path(const char *target);

#endif
