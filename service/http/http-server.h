#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "config.h"
#include "metrics.h"

/* Listens as the settings say. Returns false with the reason in error_r (the
   caller frees it). */
bool http_server_start(const struct config *config, char **error_r);
/* Accepts no more connections, lets the workers finish what they have and
   sends their answers. */
void http_server_stop(void);

/* What there is to tell of connections, requests and logins. */
void http_server_gauges(struct metrics_gauges *gauges);

#endif
