#include "lib.h"
#include "array.h"
#include "iostream-ssl.h"
#include "doveadm-settings.h"
#include "recall-proxy-conn.h"
#include "recall-proxy-tls.h"

int recall_proxy_tls_init(struct recall_proxy_server *server,
			  struct istream **input, struct ostream **output,
			  struct ssl_iostream **ssl_r, const char **error_r)
{
	struct ssl_iostream_settings set;

	doveadm_get_ssl_settings(&set, pool_datastack_create());
	if (server->any_cert)
		set.allow_invalid_cert = TRUE;
	if (set.allow_invalid_cert)
		set.verbose_invalid_cert = TRUE;
	if (server->ssl_ctx == NULL &&
	    ssl_iostream_client_context_cache_get(&set, &server->ssl_ctx,
						  error_r) < 0)
		return -1;
	return io_stream_create_ssl_client(server->ssl_ctx, server->hostname,
					   &set, input, output, ssl_r, error_r);
}

void recall_proxy_tls_deinit(struct recall_proxy_server *server)
{
	if (server->ssl_ctx != NULL)
		ssl_iostream_context_unref(&server->ssl_ctx);
}
