#ifndef REFRESH_TOKEN_H
#define REFRESH_TOKEN_H

#include <stdint.h>

#include "util.h"

/* Refresh tokens. Each is good once and is replaced when used; all that came
   from one login are a family. One that is used again was stolen, from or by
   whoever came first, so the whole family ends. Only hashes are kept. */

#define REFRESH_TOKEN_LEN 64

/* Makes one for the login: 64 hexadecimal digits. family is of an earlier one,
   or NULL for a new login. Returns false if it could not be kept. */
bool refresh_token_add(const char *login, const char *family, int64_t expires,
		       char token_r[REFRESH_TOKEN_LEN + 1]);

/* Uses it up. Returns the family (the caller frees it), or NULL if it is not a
   good one for the login, or, with *failed_r, if that could not be written: it
   is still good. */
char *refresh_token_use(const char *token, const char *login, int64_t now,
			bool *failed_r);

/* Ends its family. Returns false if there is no such token. */
bool refresh_token_revoke(const char *token, const char *login);

#endif
