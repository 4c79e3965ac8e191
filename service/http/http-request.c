#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "http-request.h"

struct http_request *http_request_new(void)
{
	struct http_request *request = x_calloc(1, sizeof(*request));

	request->reply_fd = -1;
	return request;
}

const char *http_request_flow_cookie(const struct http_request *request)
{
	const char *url = request->config->oidc_redirect_url;

	return strncasecmp(url, "https://", 8) == 0 ? FLOW_COOKIE_HOST :
		FLOW_COOKIE;
}

void http_request_free_params(struct http_request *request)
{
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		free(request->params[i].name);
		/* may be a password */
		free_secret(request->params[i].value);
	}
	free(request->params);
	request->params = NULL;
	request->params_count = 0;
}

void http_request_free(struct http_request *request)
{
	http_request_free_params(request);
	strlist_free(&request->params_empty);
	free(request->path);
	free_secret(request->authorization);
	free(request->content_type);
	free(request->prefer);
	free(request->idempotency_key);
	strlist_free_secret(&request->session_cookies);
	free(request->session_proof);
	free_secret(request->flow_cookie);
	free(request->why);
	http_body_drop(&request->body);
	free_secret(request->reply);
	if (request->reply_fd >= 0)
		close(request->reply_fd);
	strlist_free(&request->reply_headers);
	identity_clear(&request->identity);
	config_unref(request->config);
	free(request);
}

bool http_request_add_param(struct http_request *request, const char *name,
			    size_t name_len, const char *value,
			    size_t value_len)
{
	struct http_param *param;

	if ((request->params_count & (request->params_count - 1)) == 0) {
		request->params = x_realloc(request->params,
					    (request->params_count * 2 + 1) *
					    sizeof(*param));
	}
	param = &request->params[request->params_count++];
	param->name = try_strndup(name, name_len);
	param->value = try_strndup(value, value_len);
	return param->name != NULL && param->value != NULL;
}

char *http_request_path_part(const struct http_request *request)
{
	const char *part = request->path + strcspn(request->route->path, "{");

	return x_strndup(part, strcspn(part, "/"));
}
