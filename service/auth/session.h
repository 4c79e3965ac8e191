#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>

#include <jansson.h>

#include "identity.h"

/* What somebody has signed in to: each is a family of refresh tokens (see
   refresh-token.h), whose name is its id. */

/* The login's own that have not ended, newest first: id, when and from where it
   was begun and last used, until when it lasts, and whether the identity's own
   token came of it. The caller gets the reference; NULL if the journal can't be
   read. */
json_t *session_list(const struct identity *identity, int64_t now);

enum session_result {
	SESSION_ENDED = 0,
	/* The login has none of this id. */
	SESSION_ABSENT,
	SESSION_FAILED
};

/* Ends one of the login's: its refresh tokens, and at once the access tokens
   that came with them. */
enum session_result
session_end(const struct identity *identity, const char *id, int64_t now);

#endif
