#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "recall-tenant-name.h"
#include "alloc.h"
#include "encode.h"
#include "journal-db.h"
#include "journal.h"
#include "log.h"
#include "refresh-family.h"
#include "refresh-token.h"
#include "revocation.h"

#define HASH_LEN 64

/* The token has 256 random bits, so that a hash without salt will do. */
static void hash_token(const char *token, char out[HASH_LEN + 1])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (EVP_Digest(token, strlen(token), md, &len, EVP_sha256(), NULL) != 1)
		abort();
	hex_encode(md, len, out);
}

void refresh_session_free(struct refresh_session *session)
{
	free(session->family);
	free(session->tenant);
}

/* Looks the token up; one of somebody else is not found. */
static enum refresh_result
find(sqlite3 *db, const char *token, const char *login,
     struct refresh_session *session_r, bool *used_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT family, expires, "
		"used, login, role, tenant FROM refresh_tokens WHERE hash = ?");
	enum refresh_result result = REFRESH_INVALID;
	char hash[HASH_LEN + 1];
	int ret;

	hash_token(token, hash);
	if (stmt != NULL)
		sqlite3_bind_text(stmt, 1, hash, -1, SQLITE_STATIC);
	ret = journal_step(stmt);
	if (ret == SQLITE_ROW &&
	    strcasecmp(journal_text(stmt, 3),
		       login) == 0) {
		session_r->family = x_strdup(journal_text(stmt, 0));
		session_r->expires = sqlite3_column_int64(stmt, 1);
		*used_r = sqlite3_column_int(stmt, 2) != 0;
		session_r->role = (enum role)sqlite3_column_int(stmt, 4);
		session_r->granted = session_r->role != ROLE_NONE;
		session_r->tenant = x_strdup(recall_tenant_name(
				journal_text(stmt, 5)));
		result = REFRESH_OK;
	} else if (ret != SQLITE_ROW && ret != SQLITE_DONE) {
		result = REFRESH_FAILED;
	}
	journal_release(stmt);
	return result;
}

static enum refresh_result
use(sqlite3 *db, const char *token, const char *login, int64_t now,
    const char *family, struct refresh_family *ended)
{
	struct refresh_session found;
	char hash[HASH_LEN + 1];
	enum refresh_result result;
	int64_t count;
	bool used;

	result = find(db, token, login, &found, &used);
	if (result != REFRESH_OK)
		return result;
	hash_token(token, hash);
	if (used) {
		log_warning("a refresh token of %s was used twice: all tokens "
			    "of that login end", login);
		result = revocation_end_family(db, login, found.family, now,
					       ended) ?
			REFRESH_INVALID : REFRESH_FAILED;
	} else if (found.expires <= now ||
		   strcmp(found.family, family) != 0) {
		result = REFRESH_INVALID;
	} else if (!refresh_family_count(db, found.family, now, &count)) {
		result = REFRESH_FAILED;
	} else if (count >= REFRESH_ACCESS_MAX) {
		result = REFRESH_OFTEN;
	} else if (!journal_exec(db, "UPDATE refresh_tokens SET used = 1 "
				 "WHERE hash = ?", "s", hash)) {
		result = REFRESH_FAILED;
	}
	refresh_session_free(&found);
	return result;
}

enum refresh_result
refresh_token_find(const char *token, const char *login,
		   struct refresh_session *session_r)
{
	enum refresh_result result;
	bool used;

	memset(session_r, 0, sizeof(*session_r));
	result = find(journal_lock(), token, login, session_r, &used);
	journal_unlock();
	return result;
}

static bool add(sqlite3 *db, const struct identity *identity,
		const struct refresh_token *token, const char *hash)
{
	return journal_exec(db, "INSERT INTO refresh_tokens (hash, family, "
			    "login, expires, tenant, jti, created, "
			    "access_expires, address, role, issued_role, "
			    "named) VALUES (?,?,?,?,?,?,?,?,?,?,?,1)",
			    "sssissiisii", hash, token->family, identity->login,
			    token->expires, identity->tenant, token->jti,
			    token->created, token->access_expires,
			    token->address, (int64_t)(token->granted ?
				identity->role : ROLE_NONE),
			    (int64_t)identity->role);
}

enum refresh_result
refresh_token_add(const struct identity *identity,
		  const struct refresh_token *token, int64_t now,
		  char token_r[REFRESH_TOKEN_LEN + 1])
{
	sqlite3 *db = journal_lock();
	enum refresh_result result = REFRESH_OK;
	struct refresh_family ended;
	char hash[HASH_LEN + 1];

	memset(&ended, 0, sizeof(ended));
	random_hex(REFRESH_TOKEN_LEN / 2, token_r);
	hash_token(token_r, hash);
	if (!journal_begin(db, false))
		result = REFRESH_FAILED;
	else if (token->old != NULL)
		result = use(db, token->old, identity->login, now,
			     token->family, &ended);
	if (result == REFRESH_OK && !add(db, identity, token, hash))
		result = REFRESH_FAILED;
	/* that a family has ended is to be written, too */
	if (!journal_end(db, result != REFRESH_FAILED))
		result = REFRESH_FAILED;
	if (result != REFRESH_FAILED)
		revocation_remember_family(&ended);
	journal_unlock();
	refresh_family_free(&ended);
	return result;
}

static enum refresh_result
revoke(sqlite3 *db, const char *token, const char *login, int64_t now,
       struct refresh_family *ended)
{
	struct refresh_session found;
	enum refresh_result result;
	bool used;

	/* a token that is used meanwhile would bring another one */
	if (!journal_begin(db, true))
		return REFRESH_FAILED;
	result = find(db, token, login, &found, &used);
	if (result != REFRESH_OK)
		return result;
	if (!revocation_end_family(db, login, found.family, now, ended))
		result = REFRESH_FAILED;
	refresh_session_free(&found);
	return result;
}

enum refresh_result
refresh_token_revoke(const char *token, const char *login, int64_t now)
{
	sqlite3 *db = journal_lock();
	struct refresh_family ended;
	enum refresh_result result;

	memset(&ended, 0, sizeof(ended));
	result = revoke(db, token, login, now, &ended);
	if (!journal_end(db, result == REFRESH_OK) && result == REFRESH_OK)
		result = REFRESH_FAILED;
	if (result == REFRESH_OK)
		revocation_remember_family(&ended);
	journal_unlock();
	refresh_family_free(&ended);
	return result;
}

void refresh_tokens_purge(int64_t now)
{
	sqlite3 *db = journal_lock();

	/* the first one of a session that lasts says since when it does */
	(void)journal_exec(db, "DELETE FROM refresh_tokens WHERE "
			   "max(expires, access_expires) < ?1 AND "
			   "(family, created) NOT IN (SELECT family, "
			   "min(created) FROM refresh_tokens GROUP BY family "
			   "HAVING max(max(expires, access_expires)) >= ?1)",
			   "i", now - REVOCATION_KEEP_EXPIRED);
	journal_unlock();
}
