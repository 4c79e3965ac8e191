#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "actions.h"
#include "audit.h"
#include "bruteforce.h"
#include "http-reply.h"
#include "imap-login.h"
#include "metrics.h"
#include "refresh-token.h"
#include "userdb.h"

#define PASSWORD_MAX 1024

static void reply_unauthorized(struct http_request *request,
			       const char *message, const char *challenge)
{
	http_reply_message(request, 401, message);
	http_reply_header(request, "WWW-Authenticate", challenge);
}

/* Returns the Bearer token, or NULL if there is none. */
static const char *get_token(const struct http_request *request)
{
	static const char scheme[] = "Bearer ";
	const char *token = request->authorization;

	if (token == NULL || strncasecmp(token, scheme, strlen(scheme)) != 0)
		return NULL;
	token += strlen(scheme);
	return token + strspn(token, " ");
}

bool action_is_known(const struct http_request *request)
{
	const char *token = get_token(request), *why;
	struct identity identity;
	bool known;

	if (token == NULL)
		return false;
	known = token_verify(request->config, token, time(NULL), &identity,
			     &why) == TOKEN_OK;
	identity_clear(&identity);
	return known;
}

bool action_authenticate(struct http_request *request, bool allow_expired)
{
	const char *token = get_token(request), *why;

	if (token == NULL) {
		reply_unauthorized(request, "TOKEN REQUIRED", "Bearer");
		return false;
	}
	switch (token_verify(request->config, token, time(NULL),
			     &request->identity, &why)) {
	case TOKEN_OK:
		return true;
	case TOKEN_EXPIRED:
		if (allow_expired)
			return true;
		reply_unauthorized(request, "TOKEN EXPIRED",
				   "Bearer error=\"invalid_token\", "
				   "error_description=\"expired\"");
		return false;
	case TOKEN_INVALID:
		break;
	}
	request->why = x_asprintf("TOKEN INVALID: the token %s", why);
	reply_unauthorized(request, "TOKEN INVALID",
			   "Bearer error=\"invalid_token\"");
	return false;
}

bool action_check_role(struct http_request *request, bool admin, bool user)
{
	const struct identity *who = &request->identity;
	bool allowed = false;

	switch (who->role) {
	case ROLE_SUPER:
		allowed = true;
		break;
	case ROLE_ADMIN:
		allowed = admin;
		break;
	case ROLE_USER:
		allowed = user;
		break;
	case ROLE_NONE:
		break;
	}
	if (!allowed)
		http_reply_forbidden(request);
	return allowed;
}

static void reply_unreachable(struct http_request *request,
			      enum doveadm_result result)
{
	http_reply_message(request, result == DOVEADM_TIMEOUT ? 504 : 502,
			   "The mail system does not answer");
}

static void reply_tokens(struct http_request *request, const char *family)
{
	const struct config *config = request->config;
	const struct identity *who = &request->identity;
	char refresh[REFRESH_TOKEN_LEN + 1];
	int64_t now = time(NULL);
	char *access;

	access = token_issue(config, who, now);
	if (access == NULL) {
		http_reply_message(request, 501, "Tokens are issued elsewhere");
		return;
	}
	if (!refresh_token_add(who->login, family, now +
			       config->auth_refresh_token_exp_time, refresh)) {
		http_reply_journal(request);
	} else {
		http_reply_json(request, 200, json_pack(
			"{s:s, s:s, s:I, s:s, s:i}",
			"access_token", access, "refresh_token", refresh,
			"expire", (json_int_t)
				config->auth_access_token_exp_time,
			"tenant-id", who->tenant, "role", (int)who->role));
	}
	free_secret(access);
}

static void reply_denied(struct http_request *request)
{
	metrics_login(LOGIN_DENIED);
	http_reply_message(request, 401, "LOGIN FAILED");
	http_reply_header(request, "WWW-Authenticate", "Bearer");
}

/* Only after the password was right: who may not log in here learns no more
   than who has a wrong password. */
static void login_accepted(struct http_request *request, const char *login)
{
	enum doveadm_result result;

	identity_clear(&request->identity);
	result = userdb_lookup(request->config, login, &request->identity,
			       NULL);
	if (result == DOVEADM_FAILED) {
		reply_denied(request);
	} else if (result != DOVEADM_OK) {
		bruteforce_undo(request->source);
		metrics_login(LOGIN_FAILED);
		reply_unreachable(request, result);
	} else {
		bruteforce_undo(request->source);
		metrics_login(LOGIN_ACCEPTED);
		audit_done(request, "login", "Login", true,
			   (const struct audit_field[]) { { AUDIT_END, NULL } });
		reply_tokens(request, NULL);
	}
}

static void login_with_password(struct http_request *request,
				const char *login, const char *password)
{
	int64_t penalty;

	penalty = bruteforce_attempt(request->config, request->source);
	if (penalty > 0) {
		metrics_login(LOGIN_BLOCKED);
		http_reply_later(request, 429, "TOO MANY ATTEMPTS", penalty);
		return;
	}
	/* what is no address is no user either; a separator of master users
	   is not let through */
	if (address_check(login) != NULL || strlen(password) > PASSWORD_MAX) {
		reply_denied(request);
		return;
	}
	switch (imap_login_check(request->config, login, password)) {
	case IMAP_LOGIN_OK:
		login_accepted(request, login);
		break;
	case IMAP_LOGIN_DENIED:
		reply_denied(request);
		break;
	case IMAP_LOGIN_FAILED:
		bruteforce_undo(request->source);
		metrics_login(LOGIN_FAILED);
		reply_unreachable(request, DOVEADM_UNREACHABLE);
		break;
	}
}

/* Role and tenant are looked up anew: they may have changed, and the user may
   be gone. */
static void refresh(struct http_request *request, const char *token)
{
	enum doveadm_result result;
	struct identity identity;
	bool failed = false;
	char *family;

	if (!action_authenticate(request, true))
		return;
	result = userdb_lookup(request->config, request->identity.login,
			       &identity, NULL);
	if (result == DOVEADM_UNREACHABLE || result == DOVEADM_TIMEOUT) {
		reply_unreachable(request, result);
		return;
	}
	family = result != DOVEADM_OK ? NULL :
		refresh_token_use(token, identity.login, time(NULL), &failed);
	if (family == NULL) {
		identity_clear(&identity);
		if (failed) {
			http_reply_journal(request);
			return;
		}
		reply_unauthorized(request, "TOKEN INVALID",
				   "Bearer error=\"invalid_token\"");
		return;
	}
	identity_clear(&request->identity);
	request->identity = identity;
	reply_tokens(request, family);
	free(family);
}

void action_login(struct http_request *request)
{
	const char *login, *password, *token;
	bool ok = true;

	login = http_request_param(request, "login", &ok);
	password = http_request_param(request, "password", &ok);
	token = http_request_param(request, "refresh_token", &ok);
	if (!ok)
		return;
	if (token != NULL)
		refresh(request, token);
	else if (login == NULL || *login == '\0')
		http_reply_missing(request, "login");
	else if (password == NULL || *password == '\0')
		http_reply_missing(request, "password");
	else
		login_with_password(request, login, password);
}

void action_logout(struct http_request *request)
{
	const char *token;
	bool ok = true;

	token = http_request_param(request, "refresh_token", &ok);
	if (!ok)
		return;
	if (token == NULL)
		http_reply_missing(request, "refresh_token");
	else if (!refresh_token_revoke(token, request->identity.login))
		reply_unauthorized(request, "TOKEN INVALID",
				   "Bearer error=\"invalid_token\"");
	else
		http_reply_json(request, 200, json_pack("{s:b}", "success", 1));
}
