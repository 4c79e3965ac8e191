#include <string.h>

#include "actions.h"
#include "http-routes.h"

static const struct http_route routes[] = {
	{ "POST", "/v2/actions/expunge", "POST", action_expunge, "recall",
	  false },
	{ "GET", "/v2/actions", "GET, HEAD", action_list, "status", false },
	{ "GET", "/v2/actions/", "GET, HEAD", action_status, "status", false },
	{ "GET", "/v2/mailboxes/{owner}/shares", "GET, HEAD, PUT, DELETE",
	  action_shares, "shares", false },
	{ "PUT", "/v2/mailboxes/{owner}/shares", "GET, HEAD, PUT, DELETE",
	  action_share, "share", false },
	{ "DELETE", "/v2/mailboxes/{owner}/shares", "GET, HEAD, PUT, DELETE",
	  action_unshare, "unshare", false },
	{ "POST", "/v2/auth", "POST, DELETE", action_login, "login", false },
	{ "DELETE", "/v2/auth", "POST, DELETE", action_logout, "logout",
	  false },
	{ "GET", "/v2/openapi.json", "GET, HEAD", action_openapi, NULL, true },
	{ "GET", "/metrics", "GET, HEAD", action_metrics, NULL, true },
	{ "GET", "/health", "GET, HEAD", action_ready, NULL, false },
	{ "GET", "/health/ready", "GET, HEAD", action_ready, NULL, false },
	{ "GET", "/health/live", "GET, HEAD", action_live, NULL, true },
};

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

static bool is_prefix(const struct http_route *route)
{
	return route->path[strlen(route->path) - 1] == '/';
}

static bool matches(const struct http_route *route, const char *path)
{
	size_t len = strlen(route->path);

	if (strchr(route->path, '{') != NULL)
		return matches_braces(route->path, path);
	if (!is_prefix(route))
		return strcmp(route->path, path) == 0;
	return strncmp(route->path, path, len) == 0 && path[len] != '\0' &&
	       strchr(path + len, '/') == NULL;
}

const struct http_route *
http_route_find(const char *method, const char *path, const char **allow_r)
{
	const struct http_route *route;
	size_t i;

	*allow_r = NULL;
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		route = &routes[i];
		/* what has a name of its own is no id */
		if (!matches(route, path) ||
		    (is_prefix(route) && *allow_r != NULL))
			continue;
		if (strcmp(route->method, method) == 0 ||
		    (strcmp(route->method, "GET") == 0 &&
		     strcmp(method, "HEAD") == 0))
			return route;
		*allow_r = route->allow;
	}
	return NULL;
}
