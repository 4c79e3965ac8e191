#ifndef LOGIN_SESSION_H
#define LOGIN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "http-request.h"
#include "refresh-token.h"

/* What follows from a login: an access token and a refresh token, which the
   console's script never sees. */

struct session_terms {
	/* the refresh token that is used up by that, and the family that it is
	   of, or NULL for a new login */
	const char *old, *family;
	/* the refresh token is good until then */
	int64_t expires;
	/* The role is not the userdb's, and lasts as long as the session. */
	bool granted;
};

/* Answers that a refresh token is no good, or that the journal fails. */
void session_reply_no_refresh(struct http_request *request,
			      enum refresh_result result);

/* Issues both to who asks. Returns false, and has answered, if that can't be
   done. The caller frees access_r by free_secret(). */
bool session_issue(struct http_request *request,
		   const struct session_terms *terms, char **access_r,
		   char refresh_r[REFRESH_TOKEN_LEN + 1]);

/* Answers that there is no place in the pool of logins. */
void session_reply_busy(struct http_request *request);

/* Puts the refresh token of who asks into the console's cookie, for a page that
   came by https or did not; "" takes it out of there. */
void session_set_cookie(struct http_request *request, bool https,
			const char *refresh, int64_t max_age);
/* Returns the refresh token in the cookie and the login that it is for; the
   caller frees both. NULL if there is none. */
char *session_get_cookie(const struct http_request *request, char **login_r);

#endif
