#include <string.h>
#include <strings.h>
#include <time.h>

#include "alloc.h"
#include "auth-token.h"
#include "bearer.h"
#include "http-reply.h"
#include "revocation.h"

static void reply_unauthorized(struct http_request *request,
			       const char *message, const char *challenge)
{
	http_reply_message(request, 401, message);
	http_reply_header(request, "WWW-Authenticate", challenge);
}

void bearer_reply_invalid(struct http_request *request)
{
	reply_unauthorized(request, "TOKEN INVALID",
			   "Bearer error=\"invalid_token\"");
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

char *bearer_caller(const struct http_request *request)
{
	const char *token = get_token(request), *why;
	struct identity identity;
	char *caller = NULL;

	if (token == NULL)
		return NULL;
	if (token_verify(request->config, token, time(NULL), &identity,
			 &why) == TOKEN_OK &&
	    !revocation_applies(&identity))
		caller = x_asprintf("%s %s", identity.login, identity.tenant);
	identity_clear(&identity);
	return caller;
}

bool bearer_authenticate(struct http_request *request, bool allow_expired)
{
	const char *token = get_token(request), *why;
	enum token_result result;

	if (token == NULL) {
		reply_unauthorized(request, "TOKEN REQUIRED", "Bearer");
		return false;
	}
	result = token_verify(request->config, token, time(NULL),
			      &request->identity, &why);
	if (result != TOKEN_INVALID &&
	    revocation_applies(&request->identity)) {
		reply_unauthorized(request, "TOKEN REVOKED",
				   "Bearer error=\"invalid_token\", "
				   "error_description=\"revoked\"");
		return false;
	}
	switch (result) {
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
	bearer_reply_invalid(request);
	return false;
}
