#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "actions.h"
#include "alloc.h"
#include "audit.h"
#include "doveadm-client.h"
#include "http-parse.h"
#include "http-reply.h"
#include "metrics.h"
#include "oidc.h"
#include "revocation.h"
#include "login-session.h"
#include "userdb.h"

/* Sign-in by an OpenID provider: the browser is sent there, and comes back with
   a code. What the sign-in is known by stands in a cookie meanwhile, so that
   nobody can be signed in as somebody else by a link. */

#define FLOW_PATH "/console/oidc"
#define FLOW_SECONDS 600
/* codes are short */
#define CODE_MAX 4096

static void redirect(struct http_request *request, const char *to)
{
	http_reply_message(request, 302, "See there");
	http_reply_header(request, "Location", to);
	http_reply_header(request, "Referrer-Policy", "no-referrer");
}

/* Whether browsers come by https. */
static bool by_https(const struct http_request *request)
{
	return strcmp(http_request_flow_cookie(request),
		      FLOW_COOKIE_HOST) == 0;
}

/* Lax, since it has to come along when the provider sends the browser back. */
static void set_flow_cookie(struct http_request *request,
			    const struct oidc_flow *flow)
{
	const char *name = http_request_flow_cookie(request);
	/* browsers take the prefix with this path only */
	const char *path = by_https(request) ? "/" : FLOW_PATH;
	char *secret = flow == NULL ? x_strdup("") :
		x_asprintf("%s.%s.%s", flow->state, flow->nonce,
			   flow->verifier);
	char *value = x_asprintf("%s=%s; Path=%s; Max-Age=%d; Secure; "
				 "HttpOnly; SameSite=Lax", name, secret, path,
				 flow == NULL ? 0 : FLOW_SECONDS);

	http_reply_header(request, "Set-Cookie", value);
	free_secret(value);
	free_secret(secret);
}

static bool get_flow_cookie(const struct http_request *request,
			    struct oidc_flow *flow_r)
{
	const char *cookie = request->flow_cookie;

	if (cookie == NULL || strlen(cookie) != 3 * OIDC_SECRET_LEN + 2 ||
	    cookie[OIDC_SECRET_LEN] != '.' ||
	    cookie[2 * OIDC_SECRET_LEN + 1] != '.')
		return false;
	memset(flow_r, 0, sizeof(*flow_r));
	memcpy(flow_r->state, cookie, OIDC_SECRET_LEN);
	memcpy(flow_r->nonce, cookie + OIDC_SECRET_LEN + 1, OIDC_SECRET_LEN);
	memcpy(flow_r->verifier, cookie + 2 * (OIDC_SECRET_LEN + 1),
	       OIDC_SECRET_LEN);
	return true;
}

/* The page says that it did not work, the audit trail and the log why. */
static void refused(struct http_request *request, enum metrics_counter counter,
		    const char *why)
{
	metrics_add(counter, 1);
	free(request->why);
	request->why = x_strdup(why);
	http_reply_forbidden(request);
	audit_refused(request);
	redirect(request, "/console/?signin=failed");
	set_flow_cookie(request, NULL);
}

static bool is_on(struct http_request *request)
{
	if (request->config->console_enabled &&
	    *request->config->oidc_issuer != '\0')
		return true;
	http_reply_message(request, 404, "There is no such resource");
	return false;
}

static bool is_busy(struct http_request *request)
{
	if (request->too_busy)
		session_reply_busy(request);
	return request->too_busy;
}

static void begin(struct http_request *request)
{
	struct oidc_flow flow;
	char *url, *error = NULL;

	if (is_busy(request))
		return;
	url = oidc_begin(request->config, &flow, &error);
	if (url == NULL) {
		refused(request, METRIC_LOGIN_FAILED, error);
	} else {
		redirect(request, url);
		set_flow_cookie(request, &flow);
	}
	free(error);
	free(url);
}

void action_oidc_begin(struct http_request *request)
{
	if (is_on(request))
		request->login = begin;
}

static void signed_in(struct http_request *request)
{
	const struct config *config = request->config;
	bool granted = *config->oidc_role_claim != '\0';
	const struct session_terms terms = {
		.expires = time(NULL) + (granted ? config->oidc_session_time :
					 config->auth_refresh_token_exp_time),
		.granted = granted,
	};
	char refresh[REFRESH_TOKEN_LEN + 1], *access;

	if (!session_issue(request, &terms, &access, refresh))
		return;
	free_secret(access);
	metrics_add(METRIC_LOGIN_ACCEPTED, 1);
	audit_done(request, "login", "Login", true, NULL);
	redirect(request, "/console/");
	session_set_cookie(request, by_https(request), refresh,
			   terms.expires - time(NULL));
	set_flow_cookie(request, NULL);
}

/* The provider has said who it is; the userdb says what that is here. */
static void look_up(struct http_request *request)
{
	char *login = x_strdup(request->identity.login);
	enum doveadm_result result;

	identity_clear(&request->identity);
	result = userdb_lookup(request->config, login, &request->identity,
			       NULL);
	if (result == DOVEADM_OK)
		signed_in(request);
	else
		refused(request, result == DOVEADM_FAILED ?
			METRIC_LOGIN_DENIED : METRIC_LOGIN_FAILED,
			result == DOVEADM_FAILED ?
			"the userdb has no such user, or none with a role" :
			"the userdb can't be asked");
	free(login);
}

static void finish(struct http_request *request)
{
	enum oidc_result result;
	struct oidc_flow flow;
	char *error = NULL;
	bool ok = true;

	if (is_busy(request) || !get_flow_cookie(request, &flow))
		return;
	result = oidc_finish(request->config, &flow,
			     http_request_param(request, "code", &ok),
			     time(NULL), &request->identity, &error);
	OPENSSL_cleanse(&flow, sizeof(flow));
	if (result != OIDC_OK)
		refused(request, result == OIDC_DENIED ? METRIC_LOGIN_DENIED :
			METRIC_LOGIN_FAILED, error);
	else if (*request->config->oidc_role_claim == '\0')
		look_up(request);
	else
		signed_in(request);
	free(error);
}

void action_oidc_callback(struct http_request *request)
{
	const char *state, *code, *error, *issuer;
	struct oidc_flow flow;
	bool ok = true;

	if (!is_on(request))
		return;
	state = http_request_param(request, "state", &ok);
	code = http_request_param(request, "code", &ok);
	error = http_request_param(request, "error", &ok);
	/* RFC 9207: the answer of one provider is not given to another */
	issuer = http_request_param(request, "iss", &ok);
	if (!ok)
		return;
	request->revocations = revocation_count();
	if (!get_flow_cookie(request, &flow))
		refused(request, METRIC_LOGIN_DENIED, "was not begun here");
	else if (state == NULL || strlen(state) != OIDC_SECRET_LEN ||
		 CRYPTO_memcmp(state, flow.state, OIDC_SECRET_LEN) != 0)
		refused(request, METRIC_LOGIN_DENIED,
			"is of another sign-in (state)");
	else if (issuer != NULL &&
		 strcmp(issuer, request->config->oidc_issuer) != 0)
		refused(request, METRIC_LOGIN_DENIED,
			"is of another issuer (iss)");
	else if (error != NULL)
		refused(request, METRIC_LOGIN_DENIED, error);
	else if (code == NULL || *code == '\0' || strlen(code) > CODE_MAX)
		refused(request, METRIC_LOGIN_DENIED, "has no code");
	else
		request->login = finish;
	OPENSSL_cleanse(&flow, sizeof(flow));
}
