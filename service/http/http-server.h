#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "config.h"
#include "http-request.h"
#include "metrics.h"

/* What is asked for over HTTP, which the server itself knows nothing of. */
struct http_api {
	/* Returns the route of the method and path, or NULL: then allow_r is
	   what the path allows, or NULL if there is no such path. */
	const struct http_route *(*find)(const char *method, const char *path,
					 const char **allow_r);
	/* Answers the request, whose parameters have been parsed. */
	void (*run)(struct http_request *request);
	/* Returns the name of who has a valid token, for what has to be known
	   before the whole request is there; the caller frees it. NULL if
	   nobody does. Answers nothing. */
	char *(*caller)(const struct http_request *request);
	/* Finds out by the headers who asks. Answers and returns false if
	   nobody does who may. */
	bool (*authenticate)(struct http_request *request);
	/* Called with every request whose answer is about to leave. */
	void (*conclude)(struct http_request *request);
};

/* Listens as the settings say. Returns false with the reason in error_r (the
   caller frees it). */
bool http_server_start(const struct config *config, const struct http_api *api,
		       char **error_r);
/* Takes the certificate of the settings, which a check has found good. */
void http_server_reload(const struct config *config);
/* Accepts no more connections, lets the workers finish what they have and
   sends their answers. */
void http_server_stop(void);

/* Figures of connections, requests and logins. */
void http_server_gauges(struct metrics_gauges *gauges);

#endif
