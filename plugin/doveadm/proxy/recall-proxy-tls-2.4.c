#include "lib.h"
#include "array.h"
#include "iostream-ssl.h"
#include "recall-proxy-conn.h"
#include "recall-proxy-tls.h"

int recall_proxy_tls_init(struct recall_proxy_server *server,
			  struct istream **input, struct ostream **output,
			  struct ssl_iostream **ssl_r, const char **error_r)
{
	const struct ssl_iostream_client_autocreate_parameters params = {
		.event_parent = server->event,
		.host = server->hostname,
		.flags = server->any_cert ?
			SSL_IOSTREAM_FLAG_ALLOW_INVALID_CERT : 0,
	};

	return io_stream_autocreate_ssl_client(&params, input, output, ssl_r,
					       error_r);
}

void recall_proxy_tls_deinit(struct recall_proxy_server *server ATTR_UNUSED)
{
}
