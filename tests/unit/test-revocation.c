#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal-db.h"
#include "refresh-token.h"
#include "revocation.h"
#include "run-tests.h"
#include "session.h"
#include "temp-journal.h"

static void test_revoked(void)
{
	struct identity who = { .login = (char *)"A@b.example",
				.tenant = (char *)"red", .role = ROLE_USER,
				.issued = 100, .jti = (char *)"Jti" };
	struct revocation r = { .kind = REVOKE_LOGIN, .subject = "x@y",
				.tenant = "", .before = 100 };
	struct temp_journal temp;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	CU_ASSERT_FALSE(revocation_applies(&who));
	CU_ASSERT(revocation_add(&r, 100));
	CU_ASSERT_FALSE(revocation_applies(&who));
	CU_ASSERT_EQUAL(revocation_until(&who), -1);
	/* another tenant's, and a jti in other letters */
	r.subject = "a@B.example";
	r.tenant = "blue";
	CU_ASSERT(revocation_add(&r, 100));
	r.kind = REVOKE_TOKEN;
	r.subject = "jti";
	r.tenant = "";
	CU_ASSERT(revocation_add(&r, 100));
	CU_ASSERT_FALSE(revocation_applies(&who));
	r.kind = REVOKE_LOGIN;
	r.subject = "a@B.example";
	r.tenant = "red";
	r.before = 99;
	CU_ASSERT(revocation_add(&r, 100));
	CU_ASSERT_FALSE(revocation_applies(&who));
	CU_ASSERT_EQUAL(revocation_until(&who), 99);
	who.issued = -1;
	CU_ASSERT(revocation_applies(&who));
	who.role = ROLE_SUPER;
	CU_ASSERT_FALSE(revocation_applies(&who));
	who.role = ROLE_USER;
	who.issued = 100;
	r.kind = REVOKE_TOKEN;
	r.subject = "Jti";
	CU_ASSERT(revocation_add(&r, 100));
	CU_ASSERT(revocation_applies(&who));
	journal_close();
	revocations_free();
	CU_ASSERT_FALSE(revocation_applies(&who));
	temp_journal_open(&temp);
	CU_ASSERT(revocations_load());
	CU_ASSERT(revocation_applies(&who));
	/* forgotten once no token can be that old */
	revocations_purge((int64_t)400 * 86400);
	revocations_free();
	CU_ASSERT(revocations_load());
	CU_ASSERT_FALSE(revocation_applies(&who));
	journal_close();
	revocations_free();
	temp_journal_deinit(&temp);
}

/* Tokens that were issued when the clock was ahead are revoked with those of
   their login, or of all, and not with another token. */
static void test_ahead(void)
{
	static const struct revocation revocations[] = {
		{ .kind = REVOKE_TOKEN, .subject = "another", .tenant = "",
		  .before = 100 },
		{ .kind = REVOKE_LOGIN, .subject = "x@b.example", .tenant = "",
		  .before = 100 },
		{ .kind = REVOKE_LOGIN, .subject = "a@b.example", .tenant = "",
		  .before = 99 },
		{ .kind = REVOKE_LOGIN, .subject = "a@b.example", .tenant = "",
		  .before = 100 },
		{ .kind = REVOKE_ALL, .subject = "", .tenant = "",
		  .before = 100 },
	};
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .role = ROLE_USER,
				.issued = 200, .jti = (char *)"ahead" };
	const struct refresh_token session = {
		.jti = "ahead", .address = "", .created = 200, .expires = 300,
		.access_expires = 300,
	};
	struct temp_journal temp;
	char token[REFRESH_TOKEN_LEN + 1];
	size_t i;

	temp_journal_init(&temp);
	for (i = 0; i < sizeof(revocations) / sizeof(revocations[0]); i++) {
		temp_journal_open(&temp);
		CU_ASSERT_EQUAL(refresh_token_add(&who, &session, 200, token),
				REFRESH_OK);
		CU_ASSERT(revocation_add(&revocations[i], 100));
		CU_ASSERT_EQUAL(revocation_applies(&who), i >= 3);
		journal_close();
		revocations_free();
		unlink(temp.path);
	}
	temp_journal_deinit(&temp);
}

static enum refresh_result
use(const char *token, const char *login, int64_t now,
    char next_r[REFRESH_TOKEN_LEN + 1])
{
	const struct identity who = {
		.login = (char *)login, .tenant = (char *)"red",
		.role = ROLE_ADMIN,
	};
	const struct refresh_token session = {
		.old = token, .jti = "next", .address = "", .created = 100,
		.expires = 300, .access_expires = 200,
	};

	return refresh_token_add(&who, &session, now, next_r);
}

static enum refresh_result find(const char *token, const char *login,
				struct refresh_session *session_r)
{
	enum refresh_result result = refresh_token_find(token, login,
							session_r);

	free(session_r->tenant);
	session_r->tenant = NULL;
	return result;
}

/* A refresh token is good once, in time, and for its login. */
static void test_refresh(void)
{
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .role = ROLE_ADMIN };
	struct refresh_token session = {
		.jti = "one", .address = "",
		.created = 100, .expires = 300, .access_expires = 200,
		.granted = true,
	};
	struct refresh_session found;
	struct temp_journal temp;
	char token[REFRESH_TOKEN_LEN + 1], next[REFRESH_TOKEN_LEN + 1];
	char none[REFRESH_TOKEN_LEN + 1];

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	CU_ASSERT_EQUAL_FATAL(refresh_token_add(&who, &session, 100, token),
			      REFRESH_OK);
	CU_ASSERT_EQUAL(find(token, "A@b.example", &found), REFRESH_OK);
	CU_ASSERT_EQUAL(found.expires, 300);
	CU_ASSERT(found.granted && found.role == ROLE_ADMIN);
	CU_ASSERT_EQUAL(find(token, "x@b.example", &found), REFRESH_INVALID);
	CU_ASSERT_EQUAL(find("nonsense", "a@b.example", &found),
			REFRESH_INVALID);

	CU_ASSERT_EQUAL(use(token, "x@b.example", 299, none), REFRESH_INVALID);
	CU_ASSERT_EQUAL(use(token, "a@b.example", 300, none), REFRESH_INVALID);
	/* the journal fails, which costs the token nothing */
	CU_ASSERT_FATAL(journal_exec(journal_lock(), "CREATE TRIGGER full "
		"BEFORE INSERT ON refresh_tokens BEGIN "
		"SELECT RAISE(FAIL, 'full'); END", ""));
	journal_unlock();
	CU_ASSERT_EQUAL(use(token, "a@b.example", 299, none), REFRESH_FAILED);
	CU_ASSERT_FATAL(journal_exec(journal_lock(), "DROP TRIGGER full", ""));
	journal_unlock();
	CU_ASSERT_EQUAL(use(token, "a@b.example", 299, next), REFRESH_OK);
	CU_ASSERT_STRING_NOT_EQUAL(token, next);
	CU_ASSERT_EQUAL(find(next, "a@b.example", &found), REFRESH_OK);
	CU_ASSERT_FALSE(found.granted);
	/* a second time it is a thief's, and so may the next ones be */
	CU_ASSERT_EQUAL(use(token, "a@b.example", 299, none), REFRESH_INVALID);
	CU_ASSERT_EQUAL(find(next, "a@b.example", &found), REFRESH_INVALID);
	CU_ASSERT_EQUAL(use(next, "a@b.example", 299, none), REFRESH_INVALID);
	/* and what came with it; not what was over before */
	who.jti = (char *)"next";
	CU_ASSERT(revocation_applies(&who));
	who.jti = (char *)"one";
	CU_ASSERT_FALSE(revocation_applies(&who));
	who.jti = NULL;

	/* of all that came from one login none is left */
	CU_ASSERT_EQUAL_FATAL(refresh_token_add(&who, &session, 100, token),
			      REFRESH_OK);
	CU_ASSERT_EQUAL(refresh_token_revoke(token, "x@b.example", 100),
			REFRESH_INVALID);
	CU_ASSERT_EQUAL(find(token, "a@b.example", &found), REFRESH_OK);
	CU_ASSERT_EQUAL(refresh_token_revoke(token, "a@b.example", 100),
			REFRESH_OK);
	CU_ASSERT_EQUAL(find(token, "a@b.example", &found), REFRESH_INVALID);
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

/* What a client has got of a session. Whoever ends it waits for the journal's
   lock with the client, which may have it many times before: the number only
   says that the session goes on for ever. */
#define USES_MAX 1000000
struct client {
	struct identity who;
	struct refresh_token session;
	char token[REFRESH_TOKEN_LEN + 1], jti[16];
	/* "<number>" are its access tokens, from 0 on */
	unsigned int count;
};

static void *refresh_until_it_ends(void *context)
{
	struct client *client = context;
	char next[REFRESH_TOKEN_LEN + 1];

	client->session.old = client->token;
	client->session.jti = client->jti;
	while (client->count < USES_MAX) {
		snprintf(client->jti, sizeof(client->jti), "%u",
			 client->count);
		if (refresh_token_add(&client->who, &client->session, 100,
				      next) != REFRESH_OK)
			break;
		client->count++;
		memcpy(client->token, next, sizeof(next));
	}
	return NULL;
}

static void get_family(char *family, size_t size)
{
	sqlite3_stmt *stmt = journal_prepare(journal_lock(), "SELECT family "
					     "FROM refresh_tokens");

	CU_ASSERT_EQUAL_FATAL(journal_step(stmt), SQLITE_ROW);
	snprintf(family, size, "%s", journal_text(stmt, 0));
	journal_release(stmt);
	journal_unlock();
}

/* Ends a session while its token is used; by the token that it began with, or
   by its id. */
static void end_while_it_is_used(bool by_token)
{
	struct client client = {
		.who = { .login = (char *)"a@b.example",
			 .tenant = (char *)"red", .role = ROLE_USER },
		.session = { .jti = "0", .address = "", .created = 100,
			     .expires = 300, .access_expires = 200 },
		.count = 1,
	};
	struct temp_journal temp;
	char family[64], jti[16], first[REFRESH_TOKEN_LEN + 1];
	pthread_t thread;
	unsigned int i;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	CU_ASSERT_EQUAL_FATAL(refresh_token_add(&client.who, &client.session,
						100, client.token), REFRESH_OK);
	get_family(family, sizeof(family));
	memcpy(first, client.token, sizeof(first));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL,
		refresh_until_it_ends, &client), 0);
	if (by_token) {
		CU_ASSERT_EQUAL(refresh_token_revoke(first, "a@b.example", 100),
				REFRESH_OK);
	} else {
		CU_ASSERT_EQUAL(session_end(&client.who, family, 100),
				SESSION_ENDED);
	}
	pthread_join(thread, NULL);
	CU_ASSERT(client.count < USES_MAX);
	for (i = 0; i < client.count; i++) {
		snprintf(jti, sizeof(jti), "%u", i);
		client.who.jti = jti;
		CU_ASSERT(revocation_applies(&client.who));
	}
	CU_ASSERT_EQUAL(session_end(&client.who, family, 100), SESSION_ABSENT);
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

static void test_end_of_session(void)
{
	int i;

	for (i = 0; i < 300; i++)
		end_while_it_is_used(i % 2 == 0);
}

int main(void)
{
	CU_pSuite suite;

	suite = tests_begin("revocation");
	CU_add_test(suite, "what is revoked", test_revoked);
	CU_add_test(suite, "what was issued when the clock was ahead",
		    test_ahead);
	CU_add_test(suite, "refresh tokens", test_refresh);
	CU_add_test(suite, "a session that ends while it is used",
		    test_end_of_session);
	return tests_run();
}
