#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-limits.h"
#include "actions.h"
#include "address.h"
#include "alloc.h"
#include "audit.h"
#include "http-parse.h"
#include "http-reply.h"
#include "params.h"
#include "revocation.h"

#define JTI_MAX 255

/* Takes the one parameter that says what is revoked. */
static bool get_subject(struct http_request *request,
			struct revocation *revocation)
{
	const struct identity *who = &request->identity;
	const char *login, *jti, *why;
	bool all, ok = true;

	login = http_request_param(request, "login", &ok);
	jti = http_request_param(request, "jti", &ok);
	if (!ok || !param_flag(request, "all", false, &all))
		return false;
	if ((login != NULL) + (jti != NULL) + all != 1) {
		http_reply_message(request, 400, "Exactly one of LOGIN, JTI "
				   "and ALL=1 is needed");
		return false;
	}
	revocation->kind = login != NULL ? REVOKE_LOGIN :
		jti != NULL ? REVOKE_TOKEN : REVOKE_ALL;
	revocation->subject = login != NULL ? login : jti != NULL ? jti : "";
	if (login != NULL && (why = address_check(login)) != NULL) {
		http_reply_param(request, "login", why);
		return false;
	}
	if (jti != NULL && *jti == '\0') {
		http_reply_missing(request, "jti");
		return false;
	}
	if (jti != NULL && who->jti != NULL && strcmp(jti, who->jti) == 0)
		revocation->expires = who->expires;
	return param_check_text(request, "jti", jti, JTI_MAX);
}

static bool get_before(struct http_request *request, int64_t now,
		       struct revocation *revocation)
{
	if (revocation->kind == REVOKE_TOKEN &&
	    param_is_given(request, "before")) {
		http_reply_param(request, "before", "goes with LOGIN or ALL");
		return false;
	}
	/* what is still to come can't be revoked */
	return param_number(request, "before", now, 1, now,
			    &revocation->before);
}

static void audit(struct http_request *request,
		  const struct revocation *revocation, const char *reason)
{
	bool token = revocation->kind == REVOKE_TOKEN;
	char *until = x_asprintf("%lld", (long long)revocation->before * 1000);

	audit_done(request, "revoke", "Access tokens revoked", true,
		   (const struct audit_field[]) {
			{ AUDIT_ACCOUNT,
			  revocation->kind == REVOKE_ALL ? "*" :
			  token ? NULL : revocation->subject },
			{ AUDIT_TOKEN, token ? revocation->subject : NULL },
			{ AUDIT_UNTIL, token ? NULL : until },
			{ AUDIT_REASON, reason },
			{ AUDIT_END, NULL } });
	free(until);
}

void action_revoke(struct http_request *request)
{
	struct revocation revocation = { .expires = 0 };
	int64_t now = time(NULL);
	const char *reason;
	bool ok = true;

	reason = http_request_param(request, "reason", &ok);
	if (!ok || !param_check_text(request, "reason", reason,
				     RECALL_REASON_MAX) ||
	    !get_subject(request, &revocation) ||
	    !get_before(request, now, &revocation))
		return;
	/* an administrator reaches the tokens of the own tenant, whatever they
	   name */
	revocation.tenant = request->identity.role == ROLE_ADMIN ?
		request->identity.tenant : "";
	switch (revocation_add(&revocation, now)) {
	case REVOCATION_OK:
		break;
	case REVOCATION_FAILED:
		http_reply_journal(request);
		return;
	case REVOCATION_FULL:
		http_reply_message(request, 409, "Too many tokens and logins "
				   "that are not known here are revoked: "
				   "revoke ALL=1");
		return;
	}
	audit(request, &revocation, reason);
	http_reply_json(request, 200, json_pack("{s:b, s:I}", "success", 1,
		"before", (json_int_t)revocation.before));
}
