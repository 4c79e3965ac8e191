#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "journal.h"
#include "log.h"
#include "refresh-token.h"

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

bool refresh_token_add(const char *login, const char *family, int64_t expires,
		       char token_r[REFRESH_TOKEN_LEN + 1])
{
	char hash[HASH_LEN + 1], new_family[33];
	bool ret;

	random_hex(REFRESH_TOKEN_LEN / 2, token_r);
	hash_token(token_r, hash);
	if (family == NULL) {
		random_hex(16, new_family);
		family = new_family;
	}
	ret = journal_exec(journal_lock(), "INSERT INTO refresh_tokens (hash, "
			   "family, login, expires) VALUES (?,?,?,?)", "sssi",
			   hash, family, login, expires);
	journal_unlock();
	return ret;
}

struct found {
	char *family;
	int64_t expires;
	bool used;
};

/* Looks the token up; one of somebody else is not found. */
static bool find(sqlite3 *db, const char *hash, const char *login,
		 struct found *found_r)
{
	sqlite3_stmt *stmt = journal_prepare(db, "SELECT family, expires, "
		"used, login FROM refresh_tokens WHERE hash = ?");
	bool ret = false;

	if (stmt == NULL)
		return false;
	sqlite3_bind_text(stmt, 1, hash, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW &&
	    strcasecmp((const char *)sqlite3_column_text(stmt, 3), login) == 0) {
		found_r->family = x_strdup((const char *)
					   sqlite3_column_text(stmt, 0));
		found_r->expires = sqlite3_column_int64(stmt, 1);
		found_r->used = sqlite3_column_int(stmt, 2) != 0;
		ret = true;
	}
	journal_release(stmt);
	return ret;
}

static bool end_family(sqlite3 *db, const char *family)
{
	return journal_exec(db, "DELETE FROM refresh_tokens WHERE family = ?",
			    "s", family);
}

char *refresh_token_use(const char *token, const char *login, int64_t now,
			bool *failed_r)
{
	char hash[HASH_LEN + 1];
	struct found found;
	sqlite3 *db;

	*failed_r = false;
	hash_token(token, hash);
	db = journal_lock();
	if (!find(db, hash, login, &found)) {
		journal_unlock();
		return NULL;
	}
	if (found.used) {
		log_warning("a refresh token of %s was used twice: all tokens "
			    "of that login end", login);
		(void)end_family(db, found.family);
	}
	if (!found.used && found.expires > now)
		*failed_r = !journal_exec(db, "UPDATE refresh_tokens SET "
					  "used = 1 WHERE hash = ?", "s",
					  hash);
	if (found.used || found.expires <= now || *failed_r) {
		free(found.family);
		found.family = NULL;
	}
	journal_unlock();
	return found.family;
}

bool refresh_token_revoke(const char *token, const char *login)
{
	char hash[HASH_LEN + 1];
	struct found found;
	sqlite3 *db;
	bool ret;

	hash_token(token, hash);
	db = journal_lock();
	ret = find(db, hash, login, &found);
	if (ret) {
		ret = end_family(db, found.family);
		free(found.family);
	}
	journal_unlock();
	return ret;
}
