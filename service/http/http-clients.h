#ifndef HTTP_CLIENTS_H
#define HTTP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <microhttpd.h>

/* Who is connected and has not sent a request's head yet. libmicrohttpd only
   knows how long a connection was silent: an octet now and then would keep one
   for hours. */

/* For MHD_OPTION_NOTIFY_CONNECTION. */
void http_clients_notify(void *context, struct MHD_Connection *connection,
			 void **socket_context,
			 enum MHD_ConnectionNotificationCode what);
/* A request's head has come, or its answer has gone. */
void http_clients_busy(struct MHD_Connection *connection, bool busy);

/* Ends the connections that have waited for a head for longer than that. From
   any thread. */
void http_clients_drop(int64_t max_ms);

#endif
