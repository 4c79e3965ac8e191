#ifndef CONFIG_CERTS_H
#define CONFIG_CERTS_H

#include "config.h"
#include "strbuf.h"

/* Whether it is a key of RSA, of 2048 bits or more, in PEM. A private one that
   wants a passphrase is none: nobody is there to type it. */
bool config_is_rsa_key(const char *pem, bool private);
/* Whether the two keys, which are such, belong together. */
bool config_is_rsa_pair(const char *public_pem, const char *private_pem);

/* Whether the file of CAs, if there is one, can be read and has some. what is
   the setting. */
void config_check_ca(const char *what, const char *path, struct strbuf *errors);

/* Whether a server can start with tls_cert_pem and tls_key_pem. */
void config_check_tls(struct config *config, struct strbuf *errors);

#endif
