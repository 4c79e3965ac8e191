#ifndef HTTP_CERTIFICATE_H
#define HTTP_CERTIFICATE_H

#include <stdbool.h>
#include <gnutls/abstract.h>

#include "config.h"

/* The certificate that clients are shown, which is another one once it was
   renewed: connections that there are go on. */

/* Takes the certificate of the settings for all handshakes from now on, if it
   is another one. Returns false with the reason in error_r (the caller frees
   it); then the one in use stays. */
bool http_certificate_set(const struct config *config, char **error_r);
/* Until when it is good, in seconds since 1970; 0 if there is none. */
int64_t http_certificate_expires(void);
/* Called when no connection is left. */
void http_certificate_free(void);

/* What libmicrohttpd hands to GnuTLS, for each handshake. */
gnutls_certificate_retrieve_function3 http_certificate_retrieve;

#endif
