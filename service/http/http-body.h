#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "config.h"
#include "strbuf.h"

/* Bodies take memory while they come, and until their requests are answered.
   All together have a limit, and so have those of one caller: the login of a
   valid token, or else the address. */
struct http_body_caller;

/* A request's body. Zeroed is empty. */
struct http_body {
	struct strbuf text;
	/* octets that are counted as the caller's */
	size_t reserved;
	struct http_body_caller *caller;
	/* why nothing is kept of it, or NULL; and the status to answer */
	const char *refused;
	unsigned int refused_status;
};

/* Whose it is from now on; what there is of it moves along. */
void http_body_set_caller(struct http_body *body, const char *caller);
/* source is whose it is if nobody was set. Returns false if that would be too
   much, or there is no memory: then nothing of the body is kept, and refused
   says why. */
bool http_body_add(struct http_body *body, const struct config *config,
		   const char *source, const char *data, size_t size);
/* Nothing of it is kept any more. */
void http_body_drop(struct http_body *body);

/* Octets of all bodies there are. */
uint64_t http_body_total(void);

#endif
