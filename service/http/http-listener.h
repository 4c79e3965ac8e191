#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <stdbool.h>
#include <microhttpd.h>

#include "config.h"
#include "worker.h"

/* A socket that libmicrohttpd listens on, with a thread of its own. What it
   calls for each request has the listener as its context. */

/* What clients load must not hold up what watches the service. */
#define HTTP_HEALTH_CONNECTIONS 64

struct http_listener {
	struct MHD_Daemon *daemon;
	/* the server's, for this listener's requests */
	struct worker_pool *pool;
	/* only health and metrics are asked for here */
	bool health;
};

/* Listens as the settings say. Returns false with the reason in error_r (the
   caller frees it). */
bool http_listener_start(struct http_listener *listener,
			 const struct config *config,
			 MHD_AccessHandlerCallback handle,
			 MHD_RequestCompletedCallback completed,
			 char **error_r);
/* The same for health and metrics, in the clear: there is nothing secret about
   them. Without http.health_port there is nothing to do. */
bool http_listener_start_health(struct http_listener *listener,
				const struct config *config,
				MHD_AccessHandlerCallback handle,
				MHD_RequestCompletedCallback completed,
				char **error_r);
void http_listener_stop(struct http_listener *listener);

/* Connections there are. From any thread. */
unsigned int http_listener_count(const struct http_listener *listener);

#endif
