#ifndef RECALL_PROXY_TLS_H
#define RECALL_PROXY_TLS_H

struct istream;
struct ostream;
struct ssl_iostream;
struct recall_proxy_server;

/* Puts TLS over the streams, with the certificates and so on that Dovecot's
   settings have for clients. */
int recall_proxy_tls_init(struct recall_proxy_server *server,
			  struct istream **input, struct ostream **output,
			  struct ssl_iostream **ssl_r, const char **error_r);
/* Frees what the server's connections had in common. */
void recall_proxy_tls_deinit(struct recall_proxy_server *server);

#endif
