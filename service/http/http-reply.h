#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include <jansson.h>

#include "http-limits.h"
#include "http-request.h"

/* Answers the request. The last answer counts. */

/* Takes the reference over. */
void http_reply_json(struct http_request *request, unsigned int status,
		     json_t *json);
/* {"message": "<message>"} */
void http_reply_message(struct http_request *request, unsigned int status,
			const char *message);
/* 400 {"message": {"<NAME>": "<NAME> <what>"}}, or 503 for HTTP_NO_MEMORY */
void http_reply_param(struct http_request *request, const char *name,
		      const char *what);
/* The same for several at a time: what is an object that
   http_reply_add_param() has filled; takes the reference over. */
void http_reply_params(struct http_request *request, json_t *what);
void http_reply_add_param(json_t *what, const char *name, const char *why);
/* The same for a parameter that is not there. */
void http_reply_missing(struct http_request *request, const char *name);
/* 403 */
void http_reply_forbidden(struct http_request *request);
/* 502, or 504 if it was too late: no doveadm answered. json is what there is to
   say beside that, or NULL; takes the reference over. */
void http_reply_unreachable(struct http_request *request, bool timeout,
			    json_t *json);
/* 429 or 503 with Retry-After. */
void http_reply_later(struct http_request *request, unsigned int status,
		      const char *message, int64_t seconds);
/* 503: there is no memory for what the client sent. */
void http_reply_no_memory(struct http_request *request);
/* 503: nothing is done or answered that the journal does not have. */
void http_reply_journal(struct http_request *request);
/* A text that is freed with the request. */
void http_reply_text(struct http_request *request, const char *type,
		     char *text);
/* 200 with a file of that size, which is closed with the request. */
void http_reply_file(struct http_request *request, const char *type, int fd,
		     size_t size);
void http_reply_header(struct http_request *request, const char *name,
		       const char *value);

#endif
