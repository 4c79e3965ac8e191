#include "actions.h"
#include "roles.h"
#include "routes.h"

#define BODY(...) .params_from = HTTP_PARAMS_BODY, \
		  .params = (const char *const []){ __VA_ARGS__, NULL }
#define URL(...) .params_from = HTTP_PARAMS_URL, \
		 .params = (const char *const []){ __VA_ARGS__, NULL }
#define URL_ANY(...) .params_from = HTTP_PARAMS_URL_ANY, \
		     .params = (const char *const []){ __VA_ARGS__, NULL }
#define NO_BODY BODY(NULL)
#define NO_URL URL(NULL)

#define EXPUNGE .path = "/v2/actions/expunge", .allow = "POST"
#define ACTIONS .path = "/v2/actions", .allow = "GET, HEAD"
#define ACTION .path = "/v2/actions/{id}", .allow = "GET, HEAD"
#define EXPORT .path = "/v2/actions/{id}/export", .allow = "GET, HEAD"
#define SHARES .path = "/v2/mailboxes/{owner}/shares", \
	       .allow = "GET, HEAD, PUT, DELETE"
#define APPROVALS .path = "/v2/approvals", .allow = "GET, HEAD"
#define APPROVAL .path = "/v2/approvals/{id}", .allow = "POST"
#define STOP .path = "/v2/stop", .allow = "GET, HEAD, POST, DELETE"
#define STANDING .path = "/v2/standing", .allow = "GET, HEAD"
#define STANDING_ORDER .path = "/v2/standing/{id}", .allow = "DELETE"
#define AUTH .path = "/v2/auth", .allow = "POST, DELETE"
#define REVOCATIONS .path = "/v2/auth/revocations", .allow = "POST"
#define SESSIONS .path = "/v2/auth/sessions", .allow = "GET, HEAD"
#define OWN_SESSION .path = "/v2/auth/sessions/{id}", .allow = "DELETE"
#define SESSION .path = "/console/session", .allow = "POST, DELETE"
#define PAGE(name) .path = name, .allow = "GET, HEAD"

/* The first one of a path is the default of its "cmd". */
const struct http_route api_routes[] = {
	{ "POST", EXPUNGE, .cmd = "expunge", .handler = action_expunge,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_own_tenant,
	  .user = may_recall_own, .needs_audit = true, .audit = "recall",
	  BODY("messageid", "verify_headers", "query", "emails", "all", "force",
	       "notify", "dry_run", "yes_count", "stand", "reason") },
	{ "POST", EXPUNGE, .cmd = "restore", .handler = action_restore,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_own_tenant,
	  .user = may_search_named, .needs_audit = true, .audit = "restore",
	  BODY("id", "emails", "all", "reason") },
	{ "POST", EXPUNGE, .cmd = "search", .handler = action_search,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_own_tenant,
	  .user = may_search_own, .needs_audit = true, .audit = "search",
	  BODY("messageid", "verify_headers", "query", "emails", "all",
	       "limit", "cursor") },
	{ "POST", EXPUNGE, .cmd = "fetch", .handler = action_fetch,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_fetch_named,
	  .user = may_fetch_own, .needs_audit = true, .audit = "fetch",
	  BODY("messageid", "verify_headers", "query", "emails", "all",
	       "fields", "limit", "cursor") },

	/* whose recalls is for the journal to say */
	{ "GET", ACTIONS, .handler = action_list,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_anything,
	  .audit = "status",
	  URL("limit", "before", "cmd", "actor", "messageid", "reason",
	      "query", "verdict", "force", "notify", "dry_run", "since",
	      "state") },
	{ "GET", ACTION, .handler = action_status,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_anything,
	  .audit = "status", NO_URL },
	{ "GET", EXPORT, .handler = action_export,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_export, .user = may_export,
	  .needs_audit = true, .audit = "export", NO_URL },

	{ "GET", SHARES, .handler = action_shares,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_share_own,
	  .needs_audit = true, .audit = "shares", NO_URL },
	{ "PUT", SHARES, .handler = action_share,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_share_own,
	  .needs_audit = true, .audit = "share",
	  URL("mailbox", "user", "rights") },
	{ "DELETE", SHARES, .handler = action_unshare,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_share_own,
	  .needs_audit = true, .audit = "unshare", URL("mailbox", "user") },

	{ "GET", APPROVALS, .handler = action_approvals,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything,
	  .needs_audit = true, .audit = "approvals", NO_URL },
	{ "POST", APPROVAL, .handler = action_decide,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything,
	  .needs_audit = true, .audit = "approve", BODY("decision", "reason") },

	{ "GET", STANDING, .handler = action_standing,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .audit = "standing",
	  NO_URL },
	/* whose recalls is for the journal to say */
	{ "DELETE", STANDING_ORDER, .handler = action_standing_end,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_anything,
	  .needs_audit = true, .audit = "standing-end", NO_URL },

	{ "GET", STOP, .handler = action_stop_state,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .audit = "stop",
	  NO_URL },
	/* even if the trail can't be written: it only holds up */
	{ "POST", STOP, .handler = action_stop,
	  .auth = HTTP_AUTH_TOKEN, .audit = "stop",
	  BODY("reason", "release", "all") },
	{ "DELETE", STOP, .handler = action_release,
	  .auth = HTTP_AUTH_TOKEN, .needs_audit = true, .audit = "release",
	  URL("all") },

	{ "POST", AUTH, .handler = action_login,
	  .auth = HTTP_AUTH_LOGIN, .audit = "login",
	  BODY("login", "password", "refresh_token") },
	{ "DELETE", AUTH, .handler = action_logout,
	  .auth = HTTP_AUTH_OLD_TOKEN, .admin = may_anything,
	  .user = may_anything, .audit = "logout", BODY("refresh_token") },
	{ "POST", REVOCATIONS, .handler = action_revoke,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything,
	  .user = may_revoke_own, .audit = "revoke",
	  BODY("login", "jti", "all", "before", "reason") },

	{ "GET", SESSIONS, .handler = action_sessions,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_anything,
	  .audit = "sessions", NO_URL },
	{ "DELETE", OWN_SESSION, .handler = action_end_session,
	  .auth = HTTP_AUTH_TOKEN, .admin = may_anything, .user = may_anything,
	  .audit = "session-end", NO_URL },

	{ "POST", SESSION, .handler = action_console_login,
	  .auth = HTTP_AUTH_CONSOLE, .audit = "login",
	  BODY("login", "password") },
	{ "DELETE", SESSION, .handler = action_console_logout,
	  .auth = HTTP_AUTH_CONSOLE, .audit = "logout", NO_BODY },

	{ "GET", PAGE("/console/oidc"), .handler = action_oidc_begin,
	  .audit = "login", NO_URL },
	/* providers add what they like (RFC 6749, 4.1.2) */
	{ "GET", PAGE("/console/oidc/callback"),
	  .handler = action_oidc_callback, .audit = "login",
	  URL_ANY("code", "state", "iss", "error") },

	{ "GET", PAGE("/console"), .handler = action_console_slash,
	  .inlined = true },
	{ "GET", PAGE("/console/*"), .handler = action_console,
	  .inlined = true },
	{ "GET", PAGE("/v2/openapi.json"), .handler = action_openapi,
	  .inlined = true },
	{ "GET", PAGE("/metrics"), .handler = action_metrics,
	  .inlined = true, .health = true },
	{ "GET", PAGE("/health"), .handler = action_ready, .health = true },
	{ "GET", PAGE("/health/ready"), .handler = action_ready,
	  .health = true },
	{ "GET", PAGE("/health/live"), .handler = action_live,
	  .inlined = true, .health = true },
};
const size_t api_routes_count = sizeof(api_routes) / sizeof(api_routes[0]);
