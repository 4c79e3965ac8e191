#include <string.h>

#include "actions.h"
#include "audit.h"
#include "http-parse.h"
#include "http-reply.h"
#include "params.h"
#include "routes.h"

#define PARAMS(...) (const char *const []){ __VA_ARGS__, NULL }
#define NO_PARAMS (const char *const []){ NULL }

#define ACTIONS "/v2/actions/expunge"
#define SHARES "/v2/mailboxes/{owner}/shares"
#define SHARES_ALLOW "GET, HEAD, PUT, DELETE"

/* The one list of what can be asked for, who may ask, and with which
   parameters. docs/openapi.json has the same; a test compares them. */
static const struct http_route routes[] = {
	{ "POST", ACTIONS, "expunge", "POST", HTTP_AUTH_TOKEN, action_expunge,
	  HTTP_PARAMS_BODY, PARAMS("messageid", "verify_headers", "query",
				   "emails", "force", "notify", "dry_run",
				   "yes_count", "reason"),
	  "recall", false, false },
	{ "POST", ACTIONS, "restore", "POST", HTTP_AUTH_TOKEN, action_restore,
	  HTTP_PARAMS_BODY, PARAMS("id", "emails", "reason"),
	  "restore", false, false },
	{ "POST", ACTIONS, "search", "POST", HTTP_AUTH_TOKEN, action_search,
	  HTTP_PARAMS_BODY, PARAMS("messageid", "verify_headers", "query",
				   "emails", "all", "limit", "cursor"),
	  "search", false, false },
	{ "POST", ACTIONS, "fetch", "POST", HTTP_AUTH_TOKEN, action_fetch,
	  HTTP_PARAMS_BODY, PARAMS("messageid", "verify_headers", "query",
				   "emails", "all", "fields", "limit",
				   "cursor"),
	  "fetch", false, false },
	{ "GET", "/v2/actions", NULL, "GET, HEAD", HTTP_AUTH_TOKEN,
	  action_list, HTTP_PARAMS_URL,
	  PARAMS("limit", "before", "cmd", "actor", "messageid", "reason",
		 "query", "verdict", "force", "notify", "dry_run"),
	  "status", false, false },
	{ "GET", "/v2/actions/", NULL, "GET, HEAD", HTTP_AUTH_TOKEN,
	  action_status, HTTP_PARAMS_URL, NO_PARAMS, "status", false, false },
	{ "GET", SHARES, NULL, SHARES_ALLOW, HTTP_AUTH_TOKEN, action_shares,
	  HTTP_PARAMS_URL, NO_PARAMS, "shares", false, false },
	{ "PUT", SHARES, NULL, SHARES_ALLOW, HTTP_AUTH_TOKEN, action_share,
	  HTTP_PARAMS_URL, PARAMS("mailbox", "user", "rights"),
	  "share", false, false },
	{ "DELETE", SHARES, NULL, SHARES_ALLOW, HTTP_AUTH_TOKEN,
	  action_unshare, HTTP_PARAMS_URL, PARAMS("mailbox", "user"),
	  "unshare", false, false },
	{ "GET", "/v2/approvals", NULL, "GET, HEAD", HTTP_AUTH_TOKEN,
	  action_approvals, HTTP_PARAMS_URL, NO_PARAMS, "approvals", false,
	  false },
	{ "POST", "/v2/approvals/", NULL, "POST", HTTP_AUTH_TOKEN,
	  action_decide, HTTP_PARAMS_BODY, PARAMS("decision", "reason"),
	  "approve", false, false },
	{ "POST", "/v2/auth", NULL, "POST, DELETE", HTTP_AUTH_NONE,
	  action_login, HTTP_PARAMS_BODY,
	  PARAMS("login", "password", "refresh_token"), "login", false, false },
	{ "DELETE", "/v2/auth", NULL, "POST, DELETE", HTTP_AUTH_OLD_TOKEN,
	  action_logout, HTTP_PARAMS_BODY, PARAMS("refresh_token"),
	  "logout", false, false },
	{ "POST", "/v2/auth/revocations", NULL, "POST", HTTP_AUTH_TOKEN,
	  action_revoke, HTTP_PARAMS_BODY,
	  PARAMS("login", "jti", "all", "before", "reason"),
	  "revoke", false, false },
	{ "GET", "/v2/auth/sessions", NULL, "GET, HEAD", HTTP_AUTH_TOKEN,
	  action_sessions, HTTP_PARAMS_URL, NO_PARAMS, "sessions", false,
	  false },
	{ "DELETE", "/v2/auth/sessions/", NULL, "DELETE", HTTP_AUTH_TOKEN,
	  action_end_session, HTTP_PARAMS_URL, NO_PARAMS, "session-end", false,
	  false },
	{ "POST", "/console/session", NULL, "POST, DELETE", HTTP_AUTH_NONE,
	  action_console_login, HTTP_PARAMS_BODY, PARAMS("login", "password"),
	  "login", false, false },
	{ "DELETE", "/console/session", NULL, "POST, DELETE", HTTP_AUTH_NONE,
	  action_console_logout, HTTP_PARAMS_BODY, NO_PARAMS, "logout",
	  false, false },
	{ "GET", "/console", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_console_slash, HTTP_PARAMS_NONE, NULL, NULL, true, false },
	{ "GET", "/console/*", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_console, HTTP_PARAMS_NONE, NULL, NULL, true, false },
	{ "GET", "/v2/openapi.json", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_openapi, HTTP_PARAMS_NONE, NULL, NULL, true, false },
	{ "GET", "/metrics", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_metrics, HTTP_PARAMS_NONE, NULL, NULL, true, true },
	{ "GET", "/health", NULL, "GET, HEAD", HTTP_AUTH_NONE, action_ready,
	  HTTP_PARAMS_NONE, NULL, NULL, false, true },
	{ "GET", "/health/ready", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_ready, HTTP_PARAMS_NONE, NULL, NULL, false, true },
	{ "GET", "/health/live", NULL, "GET, HEAD", HTTP_AUTH_NONE,
	  action_live, HTTP_PARAMS_NONE, NULL, NULL, true, true },
};
#define ROUTES_COUNT (sizeof(routes) / sizeof(routes[0]))

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

static bool is_prefix(const struct http_route *route)
{
	return route->path[strlen(route->path) - 1] == '/';
}

static bool matches(const struct http_route *route, const char *path)
{
	size_t len = strlen(route->path);

	if (is_tree(route))
		return strncmp(route->path, path, len - 1) == 0;
	if (strchr(route->path, '{') != NULL)
		return matches_braces(route->path, path);
	if (!is_prefix(route))
		return strcmp(route->path, path) == 0;
	return strncmp(route->path, path, len) == 0 && path[len] != '\0' &&
	       strchr(path + len, '/') == NULL;
}

const struct http_route *
route_find(const char *method, const char *path, const char **allow_r)
{
	const struct http_route *route;
	size_t i;

	*allow_r = NULL;
	for (i = 0; i < ROUTES_COUNT; i++) {
		route = &routes[i];
		/* what has a name of its own is no id */
		if (!matches(route, path) ||
		    ((is_prefix(route) || is_tree(route)) && *allow_r != NULL))
			continue;
		if (strcmp(route->method, method) == 0 ||
		    (strcmp(route->method, "GET") == 0 &&
		     strcmp(method, "HEAD") == 0))
			return route;
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

	for (i = 0; i < ROUTES_COUNT; i++) {
		if (routes[i].cmd != NULL &&
		    strcmp(routes[i].path, route->path) == 0 &&
		    strcmp(routes[i].cmd, cmd) == 0)
			return &routes[i];
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

/* Finds out who asks, looks at what is asked for, and calls the handler. Neither a
   handler without a caller who is known, nor a parameter that is not known, gets
   by. */
static void run(struct http_request *request)
{
	const struct http_route *route = request->route;

	if (route->auth != HTTP_AUTH_NONE &&
	    !action_authenticate(request, route->auth == HTTP_AUTH_OLD_TOKEN))
		return;
	if (route->params_from != HTTP_PARAMS_NONE &&
	    (!param_add_url(request) ||
	     (route->cmd != NULL && !take_command(request)) ||
	     !param_check_known(request)))
		return;
	request->route->handler(request);
}

static bool authenticate(struct http_request *request)
{
	return action_authenticate(request, false);
}

const struct http_api routes_api = {
	.find = route_find,
	.run = run,
	.caller = action_caller,
	.authenticate = authenticate,
	.conclude = audit_refused,
};
