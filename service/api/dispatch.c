#include <string.h>

#include "audit.h"
#include "bearer.h"
#include "dispatch.h"
#include "http-parse.h"
#include "http-reply.h"
#include "params.h"
#include "routes.h"

/* From a request to its handler: nobody gets by who is not known or may not ask
   this, no parameter that is not known, and nothing that the audit trail could
   not have. */

/* routes */

static bool has_braces(const struct http_route *route)
{
	return strchr(route->path, '{') != NULL;
}

/* Whether the path has something in the place of the braces. */
static bool matches_braces(const char *pattern, const char *path)
{
	size_t before = strcspn(pattern, "{"), len;
	const char *after = strchr(pattern, '}') + 1;

	if (strncmp(pattern, path, before) != 0)
		return false;
	len = strcspn(path + before, "/");
	return len > 0 && strcmp(path + before + len, after) == 0;
}

/* Whether it stands for all that is below. */
static bool is_tree(const struct http_route *route)
{
	return route->path[strlen(route->path) - 1] == '*';
}

static bool matches(const struct http_route *route, const char *path)
{
	if (is_tree(route))
		return strncmp(route->path, path, strlen(route->path) - 1) == 0;
	if (has_braces(route))
		return matches_braces(route->path, path);
	return strcmp(route->path, path) == 0;
}

/* Whether what matches it may have a name of its own in another route. */
static bool is_pattern(const struct http_route *route)
{
	return is_tree(route) || has_braces(route);
}

static bool has_method(const struct http_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 &&
		strcmp(method, "HEAD") == 0);
}

const struct http_route *
route_find(const char *method, const char *path, const char **allow_r)
{
	const struct http_route *found = NULL, *route;
	size_t i;

	*allow_r = NULL;
	for (i = 0; i < api_routes_count; i++) {
		route = &api_routes[i];
		/* what has a name of its own is no id */
		if (!matches(route, path) ||
		    (found != NULL && strcmp(found->path, route->path) != 0 &&
		     is_pattern(route)))
			continue;
		if (has_method(route, method))
			return route;
		found = route;
		*allow_r = route->allow;
	}
	return NULL;
}

/* The route of the same path for another value of the parameter "cmd", or
   NULL. */
static const struct http_route *
route_command(const struct http_route *route, const char *cmd)
{
	size_t i;

	for (i = 0; i < api_routes_count; i++) {
		if (api_routes[i].cmd != NULL &&
		    strcmp(api_routes[i].path, route->path) == 0 &&
		    strcmp(api_routes[i].cmd, cmd) == 0)
			return &api_routes[i];
	}
	return NULL;
}

/* Takes the route of the command that is asked for. */
static bool take_command(struct http_request *request)
{
	const struct http_route *route;
	bool ok = true;
	const char *cmd = http_request_param(request, "cmd", &ok);

	if (!ok || cmd == NULL)
		return ok;
	route = route_command(request->route, cmd);
	if (route == NULL) {
		http_reply_param(request, "cmd", "is not a known command");
		return false;
	}
	request->route = route;
	return true;
}

/* who asks */

/* Another site's page can't make the browser send this header, and the cookie
   is SameSite=Strict besides. */
static bool is_own_script(struct http_request *request)
{
	if (request->from_console && request->config->console_enabled)
		return true;
	http_reply_forbidden(request);
	return false;
}

static bool authenticate(struct http_request *request)
{
	switch (request->route->auth) {
	case HTTP_AUTH_NONE:
	case HTTP_AUTH_LOGIN:
		return true;
	case HTTP_AUTH_TOKEN:
		return bearer_authenticate(request, false);
	case HTTP_AUTH_OLD_TOKEN:
		return bearer_authenticate(request, true);
	case HTTP_AUTH_CONSOLE:
		return is_own_script(request);
	}
	return false;
}

/* With a password nobody has a token yet. */
static bool authenticate_refresh(struct http_request *request)
{
	if (request->route->auth != HTTP_AUTH_LOGIN ||
	    !param_is_given(request, "refresh_token"))
		return true;
	request->audit = "refresh";
	return bearer_authenticate(request, true);
}

bool route_may(const struct http_request *request)
{
	const struct http_route *route = request->route;

	switch (request->identity.role) {
	case ROLE_SUPER:
		return true;
	case ROLE_ADMIN:
		return route->admin != NULL && route->admin(request);
	case ROLE_USER:
		return route->user != NULL && route->user(request);
	case ROLE_NONE:
		break;
	}
	return false;
}

static bool check_role(struct http_request *request)
{
	if ((request->route->auth != HTTP_AUTH_TOKEN &&
	     request->route->auth != HTTP_AUTH_OLD_TOKEN) ||
	    route_may(request))
		return true;
	http_reply_forbidden(request);
	return false;
}

/* what is asked for */

static bool take_params(struct http_request *request)
{
	return request->route->params_from == HTTP_PARAMS_NONE ||
	       (param_add_url(request) &&
		(request->route->cmd == NULL || take_command(request)) &&
		param_check_known(request));
}

static void run(struct http_request *request)
{
	if (authenticate(request) && take_params(request) &&
	    authenticate_refresh(request) && check_role(request) &&
	    (!request->route->needs_audit || audit_check(request)))
		request->route->handler(request);
}

const struct http_api dispatch_api = {
	.find = route_find,
	.run = run,
	.caller = bearer_caller,
	.authenticate = authenticate,
	.conclude = audit_refused,
};
