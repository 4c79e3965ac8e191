#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "alloc.h"
#include "auth-token.h"
#include "bearer.h"
#include "encode.h"
#include "http-reply.h"
#include "revocation.h"
#include "login-session.h"

#define RETRY_AFTER_LOGINS 5
#define RETRY_AFTER_REFRESHES 60
#define SESSION_PATH "/console/session"

void session_reply_no_refresh(struct http_request *request,
			      enum refresh_result result)
{
	if (result == REFRESH_FAILED)
		http_reply_journal(request);
	else if (result == REFRESH_OFTEN)
		http_reply_later(request, 429, "TOO MANY REFRESHES",
				 RETRY_AFTER_REFRESHES);
	else
		bearer_reply_invalid(request);
}

bool session_issue(struct http_request *request,
		   const struct session_terms *terms, char **access_r,
		   char refresh_r[REFRESH_TOKEN_LEN + 1])
{
	const struct config *config = request->config;
	const struct identity *who = &request->identity;
	int64_t now = time(NULL), revoked = revocation_until(who);
	/* one of this second can't be distinguished from those before */
	int64_t issued = revoked >= now ? revoked + 1 : now;
	char jti[TOKEN_ID_LEN + 1], family[REFRESH_FAMILY_LEN + 1];
	enum refresh_result result;
	struct refresh_token token = {
		.old = terms->old,
		.family = terms->old != NULL ? terms->family : family,
		.jti = jti,
		.access_expires = issued + config->auth_access_token_exp_time,
		.created = issued,
		.expires = terms->expires,
		.address = request->source,
		.granted = terms->granted,
	};

	random_hex(REFRESH_FAMILY_LEN / 2, family);
	*access_r = token_issue(config, who, token.family, issued, jti);
	if (*access_r == NULL) {
		http_reply_message(request, 501, "Tokens are issued elsewhere");
		return false;
	}
	result = refresh_token_add(who, &token, now, refresh_r);
	/* one that is used up has ended by the revocation itself */
	if (result == REFRESH_OK && terms->old == NULL &&
	    revocation_since(who, request->revocations)) {
		result = refresh_token_revoke(refresh_r, who->login, now);
		if (result == REFRESH_OK)
			result = REFRESH_INVALID;
	}
	if (result == REFRESH_OK)
		return true;
	free_secret(*access_r);
	session_reply_no_refresh(request, result);
	return false;
}

/* The refresh token of a session is in a cookie, where no script sees it:
   "<refresh token>.<login in base64url>", since it is the login's. */
void session_set_cookie(struct http_request *request, const char *refresh,
			int64_t max_age)
{
	const char *login = request->identity.login;
	char *encoded = base64url_encode(login, strlen(login));
	char *value = x_asprintf(SESSION_COOKIE "=%s%s%s; Path="
				 SESSION_PATH "; Max-Age=%lld; Secure; "
				 "HttpOnly; SameSite=Strict", refresh,
				 *refresh == '\0' ? "" : ".",
				 *refresh == '\0' ? "" : encoded,
				 (long long)max_age);

	http_reply_header(request, "Set-Cookie", value);
	free_secret(value);
	free(encoded);
}

void session_reply_busy(struct http_request *request)
{
	http_reply_later(request, 503, "Too many logins are under way",
			 RETRY_AFTER_LOGINS);
}

char *session_get_cookie(const struct http_request *request, char **login_r)
{
	const char *cookie = request->session_cookie;
	const char *dot = cookie == NULL ? NULL : strchr(cookie, '.');
	size_t len;

	if (dot == NULL)
		return NULL;
	*login_r = (char *)base64url_decode(dot + 1, strlen(dot + 1), &len);
	if (*login_r == NULL)
		return NULL;
	if (strlen(*login_r) != len || address_check(*login_r) != NULL) {
		free(*login_r);
		return NULL;
	}
	return x_strndup(cookie, dot - cookie);
}
