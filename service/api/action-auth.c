#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actions.h"
#include "address.h"
#include "alloc.h"
#include "audit.h"
#include "bearer.h"
#include "bruteforce.h"
#include "http-parse.h"
#include "http-reply.h"
#include "identity.h"
#include "imap-login.h"
#include "metrics.h"
#include "reached.h"
#include "refresh-token.h"
#include "revocation.h"
#include "login-session.h"
#include "rights.h"
#include "userdb.h"

#define PASSWORD_MAX 1024

/* What the console says one can sign in by, besides a password; or null. */
static json_t *provider(const struct http_request *request)
{
	return *request->config->oidc_issuer == '\0' ? json_null() :
		json_string(request->config->oidc_name);
}

static void reply_tokens(struct http_request *request,
			 const struct session_terms *terms)
{
	const struct config *config = request->config;
	const struct identity *who = &request->identity;
	char refresh[REFRESH_TOKEN_LEN + 1], *access;
	json_t *json;

	if (!session_issue(request, terms, &access, refresh))
		return;
	json = json_pack("{s:s, s:I, s:s, s:i}", "access_token", access,
			 "expire",
			 (json_int_t)config->auth_access_token_exp_time,
			 "tenant-id", who->tenant, "role", (int)who->role);
	free_secret(access);
	if (request->route->auth == HTTP_AUTH_CONSOLE) {
		json_object_set_new(json, "login", json_string(who->login));
		json_object_set_new(json, "lang", json_string(
			who->lang == NULL ? "" : who->lang));
		json_object_set_new(json, "rights", rights_to_json(request));
		json_object_set_new(json, "provider", provider(request));
		session_set_cookie(request, request->from_https, refresh,
				   terms->expires - time(NULL));
	} else {
		json_object_set_new(json, "refresh_token",
				    json_string(refresh));
	}
	http_reply_json(request, 200, json);
}

static void reply_denied(struct http_request *request)
{
	metrics_add(METRIC_LOGIN_DENIED, 1);
	http_reply_message(request, 401, "LOGIN FAILED");
	http_reply_header(request, "WWW-Authenticate", "Bearer");
}

/* The attempt was not wrong, but nothing came of it. */
static void login_failed(struct http_request *request, const char *login)
{
	bruteforce_undo(request->source, login);
	metrics_add(METRIC_LOGIN_FAILED, 1);
}

/* Ends the session that the console's cookie is of, as whose it is. Returns
   false if the journal fails. */
static bool end_console_session(struct http_request *request)
{
	enum refresh_result result;
	char *login, *token = session_get_cookie(request, &login);

	if (token == NULL)
		return true;
	request->identity.login = login;
	result = refresh_token_revoke(token, login, time(NULL));
	free_secret(token);
	if (result == REFRESH_OK)
		audit_done(request, "logout", "Logout", true, NULL);
	return result != REFRESH_FAILED;
}

/* Who signs in at the console takes the place of whoever was signed in there:
   the browser does not have that cookie any more. */
static void end_session_before(struct http_request *request)
{
	struct identity who = request->identity;

	if (request->route->auth != HTTP_AUTH_CONSOLE)
		return;
	memset(&request->identity, 0, sizeof(request->identity));
	/* if that fails, it is in the log; the new one is there all the same */
	(void)end_console_session(request);
	identity_clear(&request->identity);
	request->identity = who;
}

/* Only after the password was right: who may not log in here learns no more
   than who has a wrong password. */
static void login_accepted(struct http_request *request, const char *login)
{
	enum doveadm_result result;

	identity_clear(&request->identity);
	result = userdb_lookup(request->config, login, &request->identity,
			       NULL);
	if (!reached(request, result)) {
		login_failed(request, login);
	} else if (result == DOVEADM_FAILED) {
		reply_denied(request);
	} else {
		bruteforce_accepted(request->source, login);
		reply_tokens(request, &(const struct session_terms) {
			.expires = time(NULL) +
				request->config->auth_refresh_token_exp_time });
		/* unless they were revoked meanwhile */
		if (request->status == 200) {
			metrics_add(METRIC_LOGIN_ACCEPTED, 1);
			audit_done(request, "login", "Login", true, NULL);
			end_session_before(request);
		}
	}
}

/* An account that has several names is one: otherwise each of them would be
   good for as many guesses. */
static void find_account(struct http_request *request, const char *login)
{
	struct strlist names = { NULL, 0, 0 };
	enum doveadm_result result;
	char *mailbox;

	if (!bruteforce_is_guessed(login))
		return;
	result = userdb_names(request->config, login, &names, &mailbox);
	if (result == DOVEADM_OK || result == DOVEADM_FAILED)
		bruteforce_set_account(login, mailbox);
	strlist_free(&names);
	free(mailbox);
}

/* Dovecot is asked, and takes its time with who guesses. */
static void check_password(struct http_request *request)
{
	const char *login, *password;
	bool ok = true;

	login = http_request_param(request, "login", &ok);
	password = http_request_param(request, "password", &ok);
	if (request->too_busy) {
		login_failed(request, login);
		session_reply_busy(request);
		return;
	}
	switch (imap_login_check(request->config, login, password,
				 request->source)) {
	case IMAP_LOGIN_OK:
		login_accepted(request, login);
		break;
	case IMAP_LOGIN_DENIED:
		find_account(request, login);
		reply_denied(request);
		break;
	case IMAP_LOGIN_FAILED:
		login_failed(request, login);
		http_reply_unreachable(request, false, NULL);
		break;
	}
}

static void login_with_password(struct http_request *request,
				const char *login, const char *password)
{
	int64_t penalty;

	penalty = bruteforce_attempt(request->config, request->source, login);
	if (penalty > 0) {
		metrics_add(METRIC_LOGIN_BLOCKED, 1);
		http_reply_later(request, 429, "TOO MANY ATTEMPTS", penalty);
		return;
	}
	/* what is no address is no user either; a separator of master users
	   is not let through */
	if (address_check(login) != NULL || strlen(password) > PASSWORD_MAX) {
		reply_denied(request);
		return;
	}
	request->revocations = revocation_count();
	request->login = check_password;
}

/* Finds out who has the session now: role and tenant are looked up anew, since
   they may have changed, and the user may be gone. Only what a provider granted
   stays as it was: it knows no more until the next sign-in. */
static enum doveadm_result
look_up(struct http_request *request, const char *login,
	const struct refresh_session *session, struct identity *identity_r)
{
	memset(identity_r, 0, sizeof(*identity_r));
	if (session->granted) {
		identity_r->login = x_strdup(login);
		identity_r->tenant = x_strdup(session->tenant);
		identity_r->role = session->role;
		return DOVEADM_OK;
	}
	return userdb_lookup(request->config, login, identity_r, NULL);
}

/* For the identity, which it takes over. */
static void renew(struct http_request *request,
		  const struct session_terms *terms, struct identity *identity)
{
	struct identity before = request->identity;

	request->identity = *identity;
	reply_tokens(request, terms);
	if (request->status == 200) {
		identity_clear(&before);
		audit_done(request, "refresh", "Tokens renewed", true, NULL);
	} else {
		/* who asks with a token that is no good is nobody new */
		identity_clear(&request->identity);
		request->identity = before;
	}
}

static void refresh(struct http_request *request, const char *login,
		    const char *token)
{
	struct session_terms terms = {
		.old = token,
		.expires = time(NULL) +
			request->config->auth_refresh_token_exp_time,
	};
	struct refresh_session session;
	struct identity identity;
	enum refresh_result found;
	enum doveadm_result result;

	/* strangers have doveadm asked nothing */
	found = refresh_token_find(token, login, &session);
	if (found != REFRESH_OK) {
		session_reply_no_refresh(request, found);
		return;
	}
	result = look_up(request, login, &session, &identity);
	if (session.granted) {
		terms.granted = true;
		terms.expires = session.expires;
	}
	terms.family = session.family;
	if (!reached(request, result)) {
		identity_clear(&identity);
	} else if (result != DOVEADM_OK) {
		identity_clear(&identity);
		session_reply_no_refresh(request, REFRESH_INVALID);
	} else {
		renew(request, &terms, &identity);
	}
	refresh_session_free(&session);
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
	/* as dispatch() has found */
	if (token != NULL && *token != '\0') {
		refresh(request, request->identity.login, token);
	} else if (login == NULL || *login == '\0') {
		http_reply_missing(request, "login");
	} else if (password == NULL || *password == '\0') {
		http_reply_missing(request, "password");
	} else {
		login_with_password(request, login, password);
	}
}

/* The access token of the request ends, too, with the session that it is of,
   whichever that is, or by itself if another issuer has made it. */
static bool end_own(struct http_request *request)
{
	const struct identity *who = &request->identity;
	const struct revocation revocation = {
		.kind = REVOKE_TOKEN,
		.subject = who->jti,
		.tenant = "",
		.expires = who->expires,
	};
	int64_t now = time(NULL);
	bool found = false, ok = true;

	if (revocation_applies(who))
		return true;
	if (who->session != NULL)
		ok = revocation_add_session(who->login, who->session, now,
					    &found);
	if (ok && !found && who->jti != NULL)
		ok = revocation_add(&revocation, now) == REVOCATION_OK;
	if (!ok)
		http_reply_journal(request);
	return ok;
}

void action_logout(struct http_request *request)
{
	enum refresh_result result;
	const char *token;
	bool ok = true;

	token = http_request_param(request, "refresh_token", &ok);
	if (!ok)
		return;
	if (token == NULL) {
		http_reply_missing(request, "refresh_token");
		return;
	}
	result = refresh_token_revoke(token, request->identity.login,
				      time(NULL));
	if (result != REFRESH_OK) {
		session_reply_no_refresh(request, result);
		return;
	}
	if (!end_own(request))
		return;
	audit_done(request, "logout", "Logout", true,
		   (const struct audit_field[]) {
			{ AUDIT_TOKEN, request->identity.jti },
			{ AUDIT_END, NULL } });
	http_reply_json(request, 200, json_pack("{s:b}", "success", 1));
}

/* Whose session has ended signs in again, and has to be told how. */
static void add_provider(struct http_request *request)
{
	if (request->status != 401)
		return;
	/* what the audit trail has of it */
	if (request->why == NULL)
		request->why = x_strdup(request->reply);
	http_reply_json(request, 401, json_pack("{s:s, s:o}", "message",
		"TOKEN INVALID", "provider", provider(request)));
}

/* With a password, or with the cookie alone. */
void action_console_login(struct http_request *request)
{
	char *token, *login;

	if (request->params_count > 0) {
		action_login(request);
		return;
	}
	token = session_get_cookie(request, &login);
	if (token == NULL) {
		/* nobody has signed in here: no refusal of anything */
		request->audit = NULL;
		http_reply_json(request, 200, json_pack("{s:n, s:o}",
			"access_token", "provider", provider(request)));
		return;
	}
	request->audit = "refresh";
	refresh(request, login, token);
	add_provider(request);
	free_secret(token);
	free(login);
}

void action_console_logout(struct http_request *request)
{
	if (!end_console_session(request)) {
		http_reply_journal(request);
		return;
	}
	http_reply_json(request, 200, json_pack("{s:b}", "success", 1));
	session_set_cookie(request, request->from_https, "", 0);
}
