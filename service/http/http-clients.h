#ifndef HTTP_CLIENTS_H
#define HTTP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <microhttpd.h>

/* Who is connected, from where, and until when there has to be a request's
   head, or an answer has to be taken. libmicrohttpd only knows how long a
   connection was silent: an octet now and then would keep one for hours. */

/* For MHD_start_daemon(): whether one more may connect from there. Addresses of
   one IPv6 /64 are one; trusted proxies may have any number. */
enum MHD_Result http_clients_accept(void *context, const struct sockaddr *sa,
				    socklen_t len);
/* For MHD_OPTION_NOTIFY_CONNECTION. */
void http_clients_notify(void *context, struct MHD_Connection *connection,
			 void **socket_context,
			 enum MHD_ConnectionNotificationCode what);

/* A request's body, or that its answer is taken, is waited for so long. */
void http_clients_expect(struct MHD_Connection *connection, int64_t max_ms);
/* A request has come: the rest is up to us. */
void http_clients_working(struct MHD_Connection *connection);
/* It has gone, and another request may come. */
void http_clients_waiting(struct MHD_Connection *connection);

/* Ends the connections that are overdue. From any thread. */
void http_clients_drop(void);

#endif
