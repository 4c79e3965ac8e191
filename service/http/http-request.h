#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <netinet/in.h>
#include <microhttpd.h>

#include "config.h"
#include "http-body.h"
#include "identity.h"
#include "strlist.h"

struct http_request;

/* The cookie with the refresh token of a session of the console, and the header
   that only the console's own script can send: a form of another site's has no
   headers. */
#define SESSION_COOKIE "recall_session"
#define CONSOLE_HEADER "X-Recall-Console"
/* what that says where the page came by https */
#define CONSOLE_HTTPS "https"
/* Which one of the cookies of that name is the own one, where the page came by
   https: another host of the domain can set the one, but none of this name. It
   goes along with all that this host is asked for: the token is not in it. */
#define SESSION_PROOF_COOKIE "__Host-"SESSION_COOKIE
/* Another one comes with each of these: a page that loads while the one before
   it waits for such an answer sees by it, and by nothing else, that it came. */
#define SESSION_MARK_COOKIE "recall_session_mark"
/* The cookie of a sign-in by an OpenID provider that is under way. Where
   browsers come by https it has the name that no other host of the domain can
   set. */
#define FLOW_COOKIE "recall_oidc"
#define FLOW_COOKIE_HOST "__Host-"FLOW_COOKIE

/* How it is known who asks. */
enum http_auth {
	/* Anybody may. */
	HTTP_AUTH_NONE = 0,
	/* a valid token */
	HTTP_AUTH_TOKEN,
	/* one that has expired will do, too */
	HTTP_AUTH_OLD_TOKEN,
	/* Anybody may, but with a refresh token goes such a token. */
	HTTP_AUTH_LOGIN,
	/* the console's own script, while there is a console */
	HTTP_AUTH_CONSOLE
};

/* Whether a caller of some role may ask this: it may depend on what is asked
   for. Whose mail that reaches is for the plugin to say. */
typedef bool http_may_func(const struct http_request *request);

/* Where parameters are taken from. */
enum http_params_from {
	/* They are not looked at. */
	HTTP_PARAMS_NONE = 0,
	/* A URL stands in logs, so it must not have them. */
	HTTP_PARAMS_BODY,
	/* The URL's query string and the body; both make one set. */
	HTTP_PARAMS_URL,
	/* The same; what is not known is left out. */
	HTTP_PARAMS_URL_ANY
};

struct http_route {
	const char *method;
	/* "{...}" stands for a part of the path, a "*" at the end for all that
	   is below */
	const char *path;
	/* the value of the parameter "cmd", where several routes share a
	   path; the first one is the default */
	const char *cmd;
	/* all methods of the path */
	const char *allow;
	/* Looked at, as are the roles and needs_audit, before the handler is
	   called. */
	enum http_auth auth;
	/* with a token: what an administrator of a tenant and a user may ask,
	   NULL for nothing; a super administrator may ask everything */
	http_may_func *admin, *user;
	/* Nothing is done that the audit trail could not have. */
	bool needs_audit;
	void (*handler)(struct http_request *request);
	enum http_params_from params_from;
	/* names of all the parameters that it has, besides "cmd"; end with
	   NULL */
	const char *const *params;
	/* what the audit trail calls a refused request, or NULL */
	const char *audit;
	/* answered at once, without a worker */
	bool inlined;
	/* also asked for at the listener of http.health_port */
	bool health;
};

struct http_param {
	char *name;
	char *value;
};

/* A request and its answer. */
struct http_request {
	struct MHD_Connection *connection;
	const struct http_route *route;
	struct config *config;
	char *path;
	/* header values, or NULL */
	char *authorization;
	char *content_type;
	char *prefer;
	char *idempotency_key;
	/* all cookies of the console's session, and which is the own one, or
	   NULL */
	struct strlist session_cookies;
	char *session_proof;
	/* that of a sign-in, or NULL */
	char *flow_cookie;
	/* sent by the console's own script, and that by a page that came by
	   https */
	bool from_console, from_https;
	/* the client's address as text */
	char source[INET6_ADDRSTRLEN];
	int64_t started;

	struct http_body body;
	/* octets that came, kept or not */
	size_t received;
	/* nothing is kept of it: it is too large, or as body.refused says */
	bool too_large;
	/* who sends a large body has, or has not, shown a valid token */
	bool known, unauthenticated;
	struct http_param *params;
	size_t params_count;
	/* names that were given without a value: JSON's null */
	struct strlist params_empty;
	/* the Message-ID may not be what was meant, see http-form.h */
	bool message_id_doubtful;

	/* set once it is known */
	struct identity identity;
	/* what the audit trail calls it, if not as the route does */
	const char *audit;
	/* why it is refused, where the answer does not say it all; or NULL */
	char *why;
	/* the audit trail has a line about it */
	bool audited;

	/* what goes on with the request, set by a handler that has not
	   answered: it runs in the pool of logins, or, with too_busy, at once,
	   to say that there is no place in that pool */
	void (*login)(struct http_request *request);
	bool too_busy;
	/* how many revocations there had been when the login began */
	uint64_t revocations;

	/* the answer */
	unsigned int status;
	const char *reply_type;
	char *reply;
	size_t reply_len;
	/* a file instead, or -1 */
	int reply_fd;
	struct strlist reply_headers;
	/* set last: from then on the answer belongs to the server */
	bool replied;
};

struct http_request *http_request_new(void);
/* Which of the two names the cookie of a sign-in has. */
const char *http_request_flow_cookie(const struct http_request *request);
void http_request_free(struct http_request *request);

/* Frees all parameters; there are none then. */
void http_request_free_params(struct http_request *request);
/* Adds a parameter; used while parsing. Returns false if there is no memory. */
bool http_request_add_param(struct http_request *request, const char *name,
			    size_t name_len, const char *value,
			    size_t value_len);

/* The part of the path in the place of the braces; the caller frees it. */
char *http_request_path_part(const struct http_request *request);

#endif
