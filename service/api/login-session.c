#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

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
#define CONSOLE_PATH "/console/"
#define MARK_LEN 16

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
		.access_expires = now + config->auth_access_token_exp_time,
		.created = issued,
		.expires = terms->expires,
		.address = request->source,
		.granted = terms->granted,
	};

	random_hex(REFRESH_FAMILY_LEN / 2, family);
	*access_r = token_issue(config, who, token.family, now, revoked, jti);
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

static void add_cookie(struct http_request *request, const char *name,
		       const char *value, const char *path, int64_t max_age)
{
	/* the mark is for scripts, and says nothing */
	bool seen = strcmp(name, SESSION_MARK_COOKIE) == 0;
	char *text = x_asprintf("%s=%s; Path=%s; Max-Age=%lld; Secure; "
				"%sSameSite=Strict", name, value, path,
				(long long)max_age, seen ? "" : "HttpOnly; ");

	http_reply_header(request, "Set-Cookie", text);
	free_secret(text);
}

/* What the own cookie is known by, without the token, which is random. */
static char *prove(const char *cookie)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *proof = x_calloc(1, 2 * sizeof(digest) + 1);

	SHA256((const unsigned char *)cookie, strlen(cookie), digest);
	hex_encode(digest, sizeof(digest), proof);
	return proof;
}

/* The refresh token of a session is in a cookie, where no script sees it:
   "<refresh token>.<login in base64url>", since it is the login's. */
void session_set_cookie(struct http_request *request, bool https,
			const char *refresh, int64_t max_age)
{
	const char *login = request->identity.login;
	bool gone = *refresh == '\0';
	char *encoded = gone ? NULL : base64url_encode(login, strlen(login));
	char *value = gone ? x_strdup("") :
		x_asprintf("%s.%s", refresh, encoded);
	char *proof = gone ? x_strdup("") : prove(value);
	char mark[MARK_LEN + 1] = "";

	add_cookie(request, SESSION_COOKIE, value, SESSION_PATH, max_age);
	/* browsers take the prefix with this path only */
	if (https)
		add_cookie(request, SESSION_PROOF_COOKIE, proof, "/", max_age);
	if (!gone)
		random_hex(MARK_LEN / 2, mark);
	add_cookie(request, SESSION_MARK_COOKIE, mark, CONSOLE_PATH, max_age);
	free(proof);
	free_secret(value);
	free(encoded);
}

void session_reply_busy(struct http_request *request)
{
	http_reply_later(request, 503, "Too many logins are under way",
			 RETRY_AFTER_LOGINS);
}

/* The own one of the cookies, or NULL. */
static const char *find_cookie(const struct http_request *request)
{
	const struct strlist *cookies = &request->session_cookies;
	size_t i;
	char *proof;
	bool own;

	if (!request->from_https)
		return cookies->count == 0 ? NULL : cookies->items[0];
	for (i = 0; i < cookies->count && request->session_proof != NULL; i++) {
		proof = prove(cookies->items[i]);
		own = strcmp(proof, request->session_proof) == 0;
		free(proof);
		if (own)
			return cookies->items[i];
	}
	return NULL;
}

char *session_get_cookie(const struct http_request *request, char **login_r)
{
	const char *cookie = find_cookie(request);
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
