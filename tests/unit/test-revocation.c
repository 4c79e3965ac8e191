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
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	CU_ASSERT_FALSE(revocation_applies(&who));
	CU_ASSERT_EQUAL(revocation_until(&who), -1);
	/* another tenant's, and a jti in other letters */
	r.subject = "a@B.example";
	r.tenant = "blue";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	r.kind = REVOKE_TOKEN;
	r.subject = "jti";
	r.tenant = "";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	CU_ASSERT_FALSE(revocation_applies(&who));
	r.kind = REVOKE_LOGIN;
	r.subject = "a@B.example";
	r.tenant = "red";
	r.before = 99;
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
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
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
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
		.jti = "ahead", .family = "f", .address = "", .created = 200,
		.expires = 300, .access_expires = 300,
	};
	struct temp_journal temp;
	char token[REFRESH_TOKEN_LEN + 1];
	size_t i;

	temp_journal_init(&temp);
	for (i = 0; i < sizeof(revocations) / sizeof(revocations[0]); i++) {
		temp_journal_open(&temp);
		CU_ASSERT_EQUAL(refresh_token_add(&who, &session, 200, token),
				REFRESH_OK);
		CU_ASSERT_EQUAL(revocation_add(&revocations[i], 100),
				REVOCATION_OK);
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
		.old = token, .family = "f", .jti = "next", .address = "",
		.created = 100, .expires = 300, .access_expires = 200,
	};

	return refresh_token_add(&who, &session, now, next_r);
}

static enum refresh_result find(const char *token, const char *login,
				struct refresh_session *session_r)
{
	enum refresh_result result = refresh_token_find(token, login,
							session_r);

	if (result == REFRESH_OK)
		CU_ASSERT_STRING_EQUAL(session_r->family, "f");
	refresh_session_free(session_r);
	session_r->tenant = session_r->family = NULL;
	return result;
}

/* A refresh token is good once, in time, and for its login. */
static void test_refresh(void)
{
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .role = ROLE_ADMIN };
	struct refresh_token session = {
		.jti = "one", .family = "f", .address = "",
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
	/* and what came with it */
	who.session = (char *)"f";
	CU_ASSERT(revocation_applies(&who));
	who.session = (char *)"F";
	CU_ASSERT_FALSE(revocation_applies(&who));
	who.session = NULL;

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

static struct client new_client(void)
{
	return (struct client) {
		.who = { .login = (char *)"a@b.example",
			 .tenant = (char *)"red", .role = ROLE_USER },
		.session = { .jti = "0", .family = "f", .address = "",
			     .created = 100, .expires = 300,
			     .access_expires = 200 },
		.count = 1,
	};
}

static void begin_session(struct client *client)
{
	CU_ASSERT_EQUAL_FATAL(refresh_token_add(&client->who, &client->session,
						100, client->token),
			      REFRESH_OK);
}

static enum refresh_result refresh_once(struct client *client)
{
	char next[REFRESH_TOKEN_LEN + 1];
	enum refresh_result result;

	snprintf(client->jti, sizeof(client->jti), "%u", client->count);
	client->session.old = client->token;
	client->session.jti = client->jti;
	result = refresh_token_add(&client->who, &client->session, 100, next);
	if (result == REFRESH_OK) {
		client->count++;
		memcpy(client->token, next, sizeof(next));
	}
	return result;
}

static void *refresh_until_it_ends(void *context)
{
	struct client *client = context;

	while (client->count < USES_MAX &&
	       refresh_once(client) == REFRESH_OK)
		;
	return NULL;
}

/* The access tokens that there are do not name their session. */
static void make_old(void)
{
	CU_ASSERT_FATAL(journal_exec(journal_lock(), "UPDATE refresh_tokens "
				     "SET named = 0", ""));
	journal_unlock();
}

static int64_t count(const char *sql)
{
	sqlite3_stmt *stmt = journal_prepare(journal_lock(), sql);
	int64_t ret;

	CU_ASSERT_EQUAL_FATAL(journal_step(stmt), SQLITE_ROW);
	ret = sqlite3_column_int64(stmt, 0);
	journal_release(stmt);
	journal_unlock();
	return ret;
}

/* Ends a session while its token is used; by the token that it began with, or
   by its id. */
static void end_while_it_is_used(bool by_token, bool named)
{
	struct client client = new_client();
	struct temp_journal temp;
	char jti[16], first[REFRESH_TOKEN_LEN + 1];
	pthread_t thread;
	unsigned int i;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	begin_session(&client);
	if (!named)
		make_old();
	memcpy(first, client.token, sizeof(first));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL,
		refresh_until_it_ends, &client), 0);
	if (by_token) {
		CU_ASSERT_EQUAL(refresh_token_revoke(first, "a@b.example", 100),
				REFRESH_OK);
	} else {
		CU_ASSERT_EQUAL(session_end(&client.who, "f", 100),
				SESSION_ENDED);
	}
	pthread_join(thread, NULL);
	CU_ASSERT(client.count < USES_MAX);
	for (i = 0; i < client.count; i++) {
		snprintf(jti, sizeof(jti), "%u", i);
		client.who.jti = jti;
		/* the first one is of the version before */
		client.who.session = i > 0 || named ? (char *)"f" : NULL;
		CU_ASSERT(revocation_applies(&client.who));
	}
	CU_ASSERT_EQUAL(session_end(&client.who, "f", 100), SESSION_ABSENT);
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

static void test_end_of_session(void)
{
	int i;

	for (i = 0; i < 300; i++)
		end_while_it_is_used(i % 2 == 0, i % 4 < 2);
}

static void test_rows_of_a_session(void)
{
	struct client client = new_client();
	struct identity who = client.who, old = client.who;
	struct temp_journal temp;
	unsigned int i;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	begin_session(&client);
	make_old();
	for (i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(refresh_once(&client), REFRESH_OK);
	/* the last one is good for longer */
	client.session.access_expires = 250;
	CU_ASSERT_EQUAL(refresh_once(&client), REFRESH_OK);
	CU_ASSERT_EQUAL(refresh_token_revoke(client.token, "a@b.example", 100),
			REFRESH_OK);
	/* that of the version before, and all others */
	CU_ASSERT_EQUAL(count("SELECT count(*) FROM revocations"), 2);
	who.session = (char *)"f";
	old.jti = (char *)"0";
	CU_ASSERT(revocation_applies(&who) && revocation_applies(&old));
	/* until none of them can be good any more */
	revocations_purge(250 + REVOCATION_KEEP_EXPIRED);
	CU_ASSERT(revocation_applies(&who) && revocation_applies(&old));
	revocations_free();
	CU_ASSERT(revocations_load());
	CU_ASSERT(revocation_applies(&who) && revocation_applies(&old));
	revocations_purge(251 + REVOCATION_KEEP_EXPIRED);
	CU_ASSERT_FALSE(revocation_applies(&who) || revocation_applies(&old));
	CU_ASSERT_EQUAL(count("SELECT count(*) FROM revocations"), 0);
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

/* Who may make up what is revoked: a tenant's administrator, and, in other
   letters, a user. */
static void test_made_up(void)
{
	struct client client = new_client();
	struct revocation r = { .kind = REVOKE_TOKEN, .subject = "new",
				.tenant = "red" };
	struct temp_journal temp;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	begin_session(&client);
	CU_ASSERT_FATAL(journal_exec(journal_lock(), "WITH RECURSIVE n(i) AS "
		"(SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT "
		"INTO revocations (kind, subject, tenant, before, made) SELECT "
		"'jti', 'made-up' || i, 'red', 0, 100 FROM n", "i",
		(int64_t)REVOCATION_UNKNOWN_MAX));
	journal_unlock();
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	r.subject = "newer";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_FULL);
	r.kind = REVOKE_LOGIN;
	r.subject = "x@b.example";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_FULL);
	/* what there is can be revoked, and so can all */
	r.subject = "a@b.example";
	CU_ASSERT_EQUAL(revocation_add(&r, 50), REVOCATION_OK);
	r.kind = REVOKE_TOKEN;
	r.subject = "0";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	CU_ASSERT_EQUAL(count("SELECT expires FROM revocations WHERE subject = "
			      "'0'"), 200);
	r.kind = REVOKE_ALL;
	r.subject = "";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	/* another tenant's */
	r.tenant = "blue";
	r.kind = REVOKE_TOKEN;
	r.subject = "newer";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	r.kind = REVOKE_LOGIN;
	r.tenant = "";
	r.subject = "A@b.example";
	CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_OK);
	r.subject = "a@B.example";
	CU_ASSERT_EQUAL(revocation_add(&r, 101), REVOCATION_OK);
	CU_ASSERT_EQUAL(count("SELECT count(*) FROM revocations WHERE "
			      "kind = 'login' AND tenant = ''"), 1);
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

static void
add_revocation(enum revocation_kind kind, const char *subject,
	       const char *tenant, int64_t before, int64_t expires)
{
	const struct revocation r = {
		.kind = kind, .subject = subject, .tenant = tenant,
		.before = before, .expires = expires,
	};

	CU_ASSERT_EQUAL(revocation_add(&r, 1000), REVOCATION_OK);
}

/* Of two the later one counts, whichever is made first, and both after a
   start. */
static void test_revoked_twice(void)
{
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .role = ROLE_USER,
				.issued = 100 };
	struct temp_journal temp;
	int i;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	add_revocation(REVOKE_LOGIN, "a@b.example", "", 100, 0);
	add_revocation(REVOKE_LOGIN, "A@B.example", "", 50, 0);
	CU_ASSERT(revocation_applies(&who));
	CU_ASSERT_EQUAL(revocation_until(&who), 100);
	add_revocation(REVOKE_LOGIN, "a@b.example", "", 150, 0);
	CU_ASSERT_EQUAL(revocation_until(&who), 150);
	/* all, or those of the tenant */
	add_revocation(REVOKE_ALL, "", "", 160, 0);
	CU_ASSERT_EQUAL(revocation_until(&who), 160);
	add_revocation(REVOKE_ALL, "", "red", 155, 0);
	CU_ASSERT_EQUAL(revocation_until(&who), 160);
	add_revocation(REVOKE_LOGIN, "a@b.example", "red", 170, 0);
	add_revocation(REVOKE_ALL, "", "blue", 180, 0);
	add_revocation(REVOKE_LOGIN, "x@b.example", "red", 180, 0);
	for (i = 0; i < 2; i++) {
		who.role = ROLE_USER;
		CU_ASSERT_EQUAL(revocation_until(&who), 170);
		who.issued = 170;
		CU_ASSERT(revocation_applies(&who));
		who.issued = 171;
		CU_ASSERT_FALSE(revocation_applies(&who));
		who.role = ROLE_SUPER;
		CU_ASSERT_EQUAL(revocation_until(&who), 160);
		who.role = ROLE_ADMIN;
		who.tenant = (char *)"";
		CU_ASSERT_EQUAL(revocation_until(&who), 160);
		who.tenant = (char *)"red";
		revocations_free();
		CU_ASSERT(revocations_load());
	}
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

static bool is_revoked(const char *jti)
{
	const struct identity who = {
		.login = (char *)"a@b.example", .tenant = (char *)"red",
		.role = ROLE_USER, .issued = 100, .jti = (char *)jti,
	};

	return revocation_applies(&who);
}

/* It is forgotten when the token can't be good any more by any of them. */
static void test_expires(void)
{
	struct temp_journal temp;
	int i;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	add_revocation(REVOKE_TOKEN, "longer", "", 100, 200);
	add_revocation(REVOKE_TOKEN, "longer", "", 100, 250);
	add_revocation(REVOKE_TOKEN, "shorter", "", 100, 250);
	add_revocation(REVOKE_TOKEN, "shorter", "", 100, 200);
	add_revocation(REVOKE_TOKEN, "unknown", "", 100, 200);
	add_revocation(REVOKE_TOKEN, "unknown", "", 100, 0);
	add_revocation(REVOKE_TOKEN, "known", "", 100, 0);
	add_revocation(REVOKE_TOKEN, "known", "", 100, 200);
	add_revocation(REVOKE_TOKEN, "tenant", "red", 100, 250);
	add_revocation(REVOKE_TOKEN, "another tenant", "blue", 100, 250);
	for (i = 0; i < 2; i++) {
		revocations_purge(250 + REVOCATION_KEEP_EXPIRED);
		CU_ASSERT(is_revoked("longer") && is_revoked("shorter"));
		CU_ASSERT(is_revoked("unknown") && is_revoked("known"));
		CU_ASSERT(is_revoked("tenant"));
		CU_ASSERT_FALSE(is_revoked("another tenant"));
		revocations_free();
		CU_ASSERT(revocations_load());
	}
	revocations_purge(251 + REVOCATION_KEEP_EXPIRED);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_FALSE(is_revoked("longer") || is_revoked("shorter") ||
				is_revoked("tenant"));
		CU_ASSERT(is_revoked("unknown") && is_revoked("known"));
		revocations_free();
		CU_ASSERT(revocations_load());
	}
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

/* Whoever was logging in meanwhile does not get in. */
static void test_since(void)
{
	static const struct {
		enum revocation_kind kind;
		const char *subject, *tenant;
		/* of the user, and of a super administrator of that name */
		bool user, super;
	} tests[] = {
		{ REVOKE_LOGIN, "A@b.example", "", true, true },
		{ REVOKE_LOGIN, "a@b.example", "red", true, false },
		{ REVOKE_LOGIN, "x@b.example", "", false, false },
		{ REVOKE_LOGIN, "a@b.example", "blue", false, false },
		{ REVOKE_TOKEN, "jti", "", false, false },
		{ REVOKE_ALL, "", "", true, true },
		{ REVOKE_ALL, "", "red", true, false },
		{ REVOKE_ALL, "", "blue", false, false },
	};
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .issued = 2000,
				.jti = (char *)"jti" };
	struct temp_journal temp;
	uint64_t before;
	size_t i;
	int again;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		/* the second time it is known already */
		for (again = 0; again < 2; again++) {
			before = revocation_count();
			add_revocation(tests[i].kind, tests[i].subject,
				       tests[i].tenant, 100, 200);
			CU_ASSERT_EQUAL(revocation_count() - before,
					tests[i].kind != REVOKE_TOKEN);
			who.role = ROLE_USER;
			CU_ASSERT_EQUAL(revocation_since(&who, before),
					tests[i].user);
			CU_ASSERT_FALSE(revocation_since(&who,
							 revocation_count()));
			who.role = ROLE_SUPER;
			CU_ASSERT_EQUAL(revocation_since(&who, before),
					tests[i].super);
		}
	}
	journal_close();
	temp_journal_deinit(&temp);
	revocations_free();
}

/* Tokens of a session of which one may be good for ever, as far as is known,
   and such as have expired. */
static void test_times_of_a_session(void)
{
	/* when the first one and the second one expire; until when the end of
	   the session is known */
	static const int64_t times[][3] = {
		{ 200, 250, 250 }, { 250, 200, 250 }, { 0, 250, 0 },
		{ 250, 0, 0 }, { 50, 250, 250 }, { 100, 250, 250 },
	};
	struct client client;
	struct temp_journal temp;
	unsigned int i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		client = new_client();
		client.session.access_expires = times[i][0];
		temp_journal_init(&temp);
		temp_journal_open(&temp);
		begin_session(&client);
		client.session.access_expires = times[i][1];
		CU_ASSERT_EQUAL(refresh_once(&client), REFRESH_OK);
		CU_ASSERT_EQUAL(session_end(&client.who, "f", 100),
				SESSION_ENDED);
		CU_ASSERT_EQUAL(count("SELECT expires FROM revocations"),
				times[i][2]);
		journal_close();
		temp_journal_deinit(&temp);
		revocations_free();
	}
}

/* Nothing is known, and nothing is done, where the journal can't be read. */
static void test_journal_fails(void)
{
	static const char *const sql[] = {
		"ALTER TABLE refresh_tokens RENAME TO gone",
		"CREATE TRIGGER full BEFORE DELETE ON refresh_tokens BEGIN "
			"SELECT RAISE(FAIL, 'full'); END",
		"CREATE TRIGGER full BEFORE INSERT ON revocations BEGIN "
			"SELECT RAISE(FAIL, 'full'); END",
		"ALTER TABLE revocations RENAME TO gone",
	};
	struct client client;
	struct temp_journal temp;
	struct revocation r = { .kind = REVOKE_LOGIN, .tenant = "",
				.subject = "a@b.example", .before = 100 };
	char first[REFRESH_TOKEN_LEN + 1], none[REFRESH_TOKEN_LEN + 1];
	unsigned int i;

	for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		client = new_client();
		temp_journal_init(&temp);
		temp_journal_open(&temp);
		begin_session(&client);
		memcpy(first, client.token, sizeof(first));
		CU_ASSERT_EQUAL(refresh_once(&client), REFRESH_OK);
		CU_ASSERT_FATAL(journal_exec(journal_lock(), sql[i], ""));
		journal_unlock();
		CU_ASSERT_EQUAL(session_end(&client.who, "f", 100),
				SESSION_FAILED);
		CU_ASSERT_EQUAL(refresh_token_revoke(first, "a@b.example", 100),
				REFRESH_FAILED);
		CU_ASSERT_EQUAL(revocation_add(&r, 100), REVOCATION_FAILED);
		/* a thief's, or of the client's next one */
		client.session.old = first;
		CU_ASSERT_EQUAL(refresh_token_add(&client.who, &client.session,
						  100, none), REFRESH_FAILED);
		client.who.jti = (char *)"0";
		client.who.session = (char *)"f";
		client.who.issued = 100;
		CU_ASSERT_FALSE(revocation_applies(&client.who));
		if (i == 3)
			CU_ASSERT_FALSE(revocations_load());
		journal_close();
		temp_journal_deinit(&temp);
		revocations_free();
	}
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
	CU_add_test(suite, "what the end of a session leaves",
		    test_rows_of_a_session);
	CU_add_test(suite, "made-up names have a limit", test_made_up);
	CU_add_test(suite, "what is revoked twice", test_revoked_twice);
	CU_add_test(suite, "until when it is known", test_expires);
	CU_add_test(suite, "what was revoked since", test_since);
	CU_add_test(suite, "until when the end of a session is known",
		    test_times_of_a_session);
	CU_add_test(suite, "a journal that fails", test_journal_fails);
	return tests_run();
}
