#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "address.h"
#include "alloc.h"
#include "auth-token.h"
#include "bruteforce.h"
#include "config.h"
#include "config-load.h"
#include "doveadm-client.h"
#include "encode.h"
#include "identity.h"
#include "journal-db.h"
#include "journal-list.h"
#include "journal.h"
#include "journal-visible.h"
#include "listing.h"
#include "metrics.h"
#include "recall.h"
#include "recall-rows.h"
#include "text.h"
#include "worker.h"
#include "run-tests.h"
#include "temp-journal.h"

#define KEY "a-key-for-tests-that-has-more-than-32-octets"
#define NOW 1000000

static const char settings[] =
	"[doveadm]\nlogin = doveadm:x\nurl = http://a/ http://b/\n"
	"allow_plaintext = yes\n"
	"[nodes]\none = http://n1/ a.example B.example http://n2/\n"
	"two = http://n3/ b\u00fccher.example XN--STRAE-OQA.example\n"
	"[auth]\njwt_key = " KEY "\nclock_skew = 10\n"
	"access_token_exp_time = 100\n"
	"[bruteforce]\nmax_attempts = 2\npenalty = 1000\n"
	"max_attempts_per_account = 100\n";

static struct config *load(const char *text, char **error_r)
{
	char path[] = "/tmp/test-service-XXXXXX";
	struct config *config;
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	config = config_load(path, error_r);
	unlink(path);
	return config;
}

static struct config *load_good(void)
{
	char *error = NULL;
	struct config *config = load(settings, &error);

	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

static void test_settings(void)
{
	struct config *config = load_good();

	CU_ASSERT_EQUAL(config->doveadm_urls.count, 2);
	CU_ASSERT_EQUAL(config->auth_clock_skew, 10);
	CU_ASSERT_EQUAL(config->http_port, 8025);
	CU_ASSERT_STRING_EQUAL(config_node_urls(config, "x@A.example"),
			       "http://n1/ http://n2/ ");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config, "x@b.example"),
			       "http://n1/ http://n2/ ");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config,
		"x@xn--bcher-kva.example"), "http://n3/ ");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config,
		"x@B\u00dccher.example"), "http://n3/ ");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config,
		"x@stra\u00dfe.example"), "http://n3/ ");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config, "x@\xff.example"),
			       "http://a/ http://b/");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config, "x@c.example"),
			       "http://a/ http://b/");
	CU_ASSERT_STRING_EQUAL(config_node_urls(config, "a.example"),
			       "http://a/ http://b/");
	config_unref(config);
}

static void test_settings_that_are_wrong(void)
{
	static const char *const lines[] = {
		"[http]\nport = 65536\n", "[http]\nport = 80x\n",
		"[http]\nport =\n", "[http]\nport = 99999999999999999999\n",
		"[http]\naddress = localhost\n", "[http]\nnothing = 1\n",
		"port = 1\n", "[http\nport = 1\n", "[http]\nport\n",
		"[bruteforce]\nenabled = 2\n", "[auth]\njwt_algorithm = none\n",
		"[auth]\njwt_algorithm = RS256\n", "[auth]\njwt_key =\n",
		"[auth]\njwt_key_file = /nonexistent\n",
		"[nodes]\nx = a.example\n", "[doveadm]\nurl =\n",
		"[auth]\nimap_url = http://x/\n",
		"[http]\ntls_key_file = /dev/null\n",
	};
	struct config *config;
	char *error, *text;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		error = NULL;
		/* a later line of the same name wins */
		text = x_asprintf("%s%s", settings, lines[i]);
		if (strncmp(lines[i], "port", 4) == 0) {
			free(text);
			text = x_asprintf("%s%s", lines[i], settings);
		}
		config = load(text, &error);
		if (config != NULL)
			printf("accepted: %s\n", lines[i]);
		CU_ASSERT_PTR_NULL(config);
		CU_ASSERT_PTR_NOT_NULL(error);
		config_unref(config);
		free(error);
		free(text);
	}
}

static void test_base64(void)
{
	static const char *const wrong[] = { "A", "AB=", "A===", "AB==C",
					     "AB-_", "AB\n=", "AAB=", "AB=A" };
	static const unsigned char octets[] = { 0xff, 0xfe, 0xfd, 0, 1 };
	unsigned char *decoded;
	char *encoded;
	size_t len, n, i;

	for (n = 0; n <= sizeof(octets); n++) {
		encoded = base64_encode(octets, n);
		decoded = base64_decode(encoded, strlen(encoded), &len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(decoded);
		CU_ASSERT(len == n && memcmp(decoded, octets, n) == 0);
		free(encoded);
		free(decoded);
		encoded = base64url_encode(octets, n);
		CU_ASSERT_PTR_NULL(strpbrk(encoded, "+/="));
		decoded = base64url_decode(encoded, strlen(encoded), &len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(decoded);
		CU_ASSERT(len == n && memcmp(decoded, octets, n) == 0);
		free(encoded);
		free(decoded);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		decoded = base64_decode(wrong[i], strlen(wrong[i]), &len);
		CU_ASSERT_PTR_NULL(decoded);
		free(decoded);
	}
	CU_ASSERT_PTR_NULL(base64url_decode("AAB", 3, &len));
	CU_ASSERT_PTR_NULL(base64url_decode("AA=", 3, &len));
	CU_ASSERT_PTR_NULL(base64url_decode("A\0A", 3, &len));
}

static void test_utf8(void)
{
	static const char *const valid[] = { "", "abc", "\xd0\xb0",
		"\xe2\x82\xac", "\xf0\x9f\x93\xa7", "\xf4\x8f\xbf\xbf" };
	static const char *const wrong[] = { "\x80", "\xc0\x80", "\xc1\xbf",
		"\xc3", "\xc3(", "\xe0\x80\x80", "\xed\xa0\x80",
		"\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xff", "a\xe2\x82" };
	size_t i;

	for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
		CU_ASSERT(utf8_valid(valid[i], strlen(valid[i])));
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT(!utf8_valid(wrong[i], strlen(wrong[i])));
	CU_ASSERT(!utf8_valid("a\0b", 3));
}

static void test_address(void)
{
	char longest[RECALL_ADDRESS_MAX + 2];

	CU_ASSERT_PTR_NULL(address_check("a@b.example"));
	CU_ASSERT_PTR_NULL(address_check("\xd0\xb0@b.example"));
	CU_ASSERT_PTR_NOT_NULL(address_check(""));
	CU_ASSERT_PTR_NOT_NULL(address_check("*"));
	CU_ASSERT_PTR_NOT_NULL(address_check("a?@b"));
	CU_ASSERT_PTR_NOT_NULL(address_check("a b@c"));
	CU_ASSERT_PTR_NOT_NULL(address_check("a@b\r"));
	CU_ASSERT_PTR_NOT_NULL(address_check("a@b\x7f"));
	memset(longest, 'a', sizeof(longest));
	longest[RECALL_ADDRESS_MAX] = '\0';
	CU_ASSERT_PTR_NULL(address_check(longest));
	longest[RECALL_ADDRESS_MAX] = 'a';
	longest[RECALL_ADDRESS_MAX + 1] = '\0';
	CU_ASSERT_PTR_NOT_NULL(address_check(longest));
}

static void test_token(void)
{
	struct config *config = load_good();
	struct identity who = { .login = (char *)"a@b.example",
				.tenant = (char *)"red", .role = ROLE_ADMIN };
	struct identity found;
	const char *why;
	char jti[TOKEN_ID_LEN + 1];
	char *token = token_issue(config, &who, "family", NOW, -1, jti);
	size_t i, len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	CU_ASSERT_EQUAL(token_verify(config, token, NOW, &found, &why),
			TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(found.login, who.login);
	CU_ASSERT_STRING_EQUAL(found.tenant, who.tenant);
	CU_ASSERT_EQUAL(found.role, ROLE_ADMIN);
	CU_ASSERT_STRING_EQUAL(found.jti, jti);
	CU_ASSERT_STRING_EQUAL(found.session, "family");
	identity_clear(&found);
	CU_ASSERT_EQUAL(token_verify(config, token, NOW + 99, &found, &why),
			TOKEN_OK);
	identity_clear(&found);
	CU_ASSERT_EQUAL(token_verify(config, token, NOW + 100, &found, &why),
			TOKEN_EXPIRED);
	identity_clear(&found);
	CU_ASSERT_EQUAL(token_verify(config, token, NOW - 10, &found, &why),
			TOKEN_OK);
	identity_clear(&found);
	CU_ASSERT_EQUAL(token_verify(config, token, NOW - 11, &found, &why),
			TOKEN_INVALID);
	identity_clear(&found);
	/* no octet may change, none be missing */
	len = strlen(token);
	for (i = 0; i < len; i++) {
		char c = token[i];

		token[i] = c == 'A' ? 'B' : 'A';
		CU_ASSERT_EQUAL(token_verify(config, token, NOW, &found, &why),
				TOKEN_INVALID);
		identity_clear(&found);
		token[i] = '\0';
		CU_ASSERT_EQUAL(token_verify(config, token, NOW, &found, &why),
				TOKEN_INVALID);
		identity_clear(&found);
		token[i] = c;
	}
	free(token);
	config_unref(config);
}

static int64_t guess(const struct config *config, const char *address,
		     const char *login)
{
	return bruteforce_attempt(config, address, login);
}

static void test_bruteforce(void)
{
	struct config *config = load_good();

	CU_ASSERT_EQUAL(guess(config, "192.0.2.1", "a@b"), 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.1", "a@b"), 0);
	CU_ASSERT(guess(config, "192.0.2.1", "a@b") > 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.2", "a@b"), 0);
	bruteforce_undo("192.0.2.2", "a@b");
	CU_ASSERT_EQUAL(guess(config, "192.0.2.2", "a@b"), 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.2", "a@b"), 0);
	CU_ASSERT(guess(config, "192.0.2.2", "a@b") > 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.3", "a@b"), 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.3", "a@b"), 0);
	/* a right one makes up for itself alone */
	bruteforce_undo("192.0.2.3", "a@b");
	CU_ASSERT_EQUAL(guess(config, "192.0.2.3", "a@b"), 0);
	CU_ASSERT(guess(config, "192.0.2.3", "a@b") > 0);
	CU_ASSERT_EQUAL(guess(config, "2001:db8::1", "a@b"), 0);
	CU_ASSERT_EQUAL(guess(config, "2001:db8::2", "a@b"), 0);
	CU_ASSERT(guess(config, "2001:db8::3", "a@b") > 0);
	config_unref(config);
}

static void test_bruteforce_of_an_account(void)
{
	static const char *const spellings[] = { "x@y", "X@y", "x@Y" };
	struct config *config = load_good();
	char address[INET_ADDRSTRLEN];
	unsigned int i;

	/* one that logs in from there */
	CU_ASSERT_EQUAL(guess(config, "192.0.2.200", "x@y"), 0);
	bruteforce_accepted("192.0.2.200", "x@y");
	for (i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		CU_ASSERT_EQUAL(guess(config, address, spellings[i % 3]), 0);
	}
	CU_ASSERT(guess(config, "203.0.113.1", "x@y") > 0);
	CU_ASSERT(guess(config, "203.0.113.1", "X@Y") > 0);
	/* what was refused does not count against the address */
	CU_ASSERT_EQUAL(guess(config, "203.0.113.1", "other@y"), 0);
	CU_ASSERT_EQUAL(guess(config, "203.0.113.1", "other@y"), 0);
	CU_ASSERT(guess(config, "203.0.113.1", "other@y") > 0);
	/* its limit is its own */
	CU_ASSERT_EQUAL(guess(config, "192.0.2.200", "X@y"), 0);
	CU_ASSERT_EQUAL(guess(config, "192.0.2.200", "x@y"), 0);
	CU_ASSERT(guess(config, "192.0.2.200", "x@y") > 0);
	config_unref(config);
}

static void test_users_once(void)
{
	static const char *const asked[] = {
		"b@x", "a@x", "B@x", "c@x", "a@x"
	};
	struct recall *recall = recall_new();
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		recall_add_user(recall, asked[i]);
	recall_dedup(recall);
	/* another one may have other case */
	CU_ASSERT_EQUAL_FATAL(recall->count, 4);
	CU_ASSERT_STRING_EQUAL(recall->users[0].email, "b@x");
	CU_ASSERT_STRING_EQUAL(recall->users[1].email, "a@x");
	CU_ASSERT_STRING_EQUAL(recall->users[2].email, "B@x");
	CU_ASSERT_STRING_EQUAL(recall->users[3].email, "c@x");
	CU_ASSERT_EQUAL(recall_count(recall, -1), 4);
	recall_free(recall);
}

static void test_camel_case(void)
{
	static const char *const names[][2] = {
		{ "recall expunge", "recallExpunge" },
		{ "message-id", "messageId" }, { "users", "users" },
		{ "mailbox-guids", "mailboxGuids" }, { "", "" }, { "-", "-" },
	};
	char *name;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		name = doveadm_camel_case(names[i][0]);
		CU_ASSERT_STRING_EQUAL(name, names[i][1]);
		free(name);
	}
}

static void test_cursor(void)
{
	static const char *const wrong[] = {
		"", "1", "1.", ".a", "-1.a", "+1.a", " 1.a", "a.1", "1,a",
		"12345678901.a",
	};
	struct listing_cursor cursor;
	size_t i;

	CU_ASSERT_FATAL(listing_cursor_parse("12.a.b@c", &cursor));
	CU_ASSERT_EQUAL(cursor.offset, 12);
	CU_ASSERT_STRING_EQUAL(cursor.user, "a.b@c");
	free(cursor.user);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CU_ASSERT_FALSE(listing_cursor_parse(wrong[i], &cursor));
		CU_ASSERT_PTR_NULL(cursor.user);
	}
}

/* What the journal gives back is what was put in. */
static void test_journal(void)
{
	struct temp_journal temp;
	struct recall *recall = recall_new(), *loaded;
	const size_t first = 0;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	recall->kind = RECALL_RESTORE;
	recall->target = x_strdup("0123456789abcdef0123456789abcdef");
	strlist_add(&recall->query, "FROM");
	strlist_add(&recall->query, "\"x, y\"");
	strlist_add(&recall->senders, "\"a b\"@b");
	recall->actor.login = x_strdup("a@b");
	recall->actor.tenant = x_strdup("t");
	recall->actor.role = ROLE_ADMIN;
	recall->source = x_strdup("::1");
	recall_add_user(recall, "u@b");
	recall_add_user(recall, "v@b");
	recall->users[1].expected = 7;
	CU_ASSERT(journal_add(recall, true));
	recall->users[0].verdict = RECALL_VERDICT_READ;
	CU_ASSERT(journal_save(recall, &first, 1));
	journal_close();

	/* opened again it is no older version */
	temp_journal_open(&temp);
	CU_ASSERT_EQUAL_FATAL(journal_load(recall->id, &loaded),
			      JOURNAL_FOUND);
	CU_ASSERT_EQUAL(loaded->kind, RECALL_RESTORE);
	CU_ASSERT_STRING_EQUAL(loaded->target, recall->target);
	CU_ASSERT_EQUAL_FATAL(loaded->query.count, 2);
	CU_ASSERT_STRING_EQUAL(loaded->query.items[1], "\"x, y\"");
	CU_ASSERT_EQUAL_FATAL(loaded->senders.count, 1);
	CU_ASSERT_STRING_EQUAL(loaded->senders.items[0], "\"a b\"@b");
	CU_ASSERT_STRING_EQUAL(loaded->message_id, "");
	CU_ASSERT_EQUAL(loaded->finished, 0);
	CU_ASSERT_EQUAL_FATAL(loaded->count, 2);
	CU_ASSERT_EQUAL(loaded->users[0].verdict, RECALL_VERDICT_READ);
	CU_ASSERT_EQUAL(loaded->users[0].expected, 0);
	CU_ASSERT_EQUAL(loaded->users[1].verdict, -1);
	CU_ASSERT_EQUAL(loaded->users[1].expected, 7);
	CU_ASSERT(journal_visible(&recall->actor, loaded));
	recall_free(loaded);
	recall_free(recall);
	journal_close();
	temp_journal_deinit(&temp);
}

static void add_recall(const char *login, const char *tenant, enum role role)
{
	struct recall *recall = recall_new();

	recall->actor.login = x_strdup(login);
	recall->actor.tenant = x_strdup(tenant);
	recall->actor.role = role;
	recall->source = x_strdup("::1");
	CU_ASSERT(journal_add(recall, false));
	recall_free(recall);
}

/* What is listed is what may be seen one by one. */
static void test_visible(void)
{
	static const struct identity people[] = {
		{ .login = "root@r", .tenant = "one", .role = ROLE_SUPER },
		{ .login = "admin@one", .tenant = "one", .role = ROLE_ADMIN },
		{ .login = "Ann@one", .tenant = "one", .role = ROLE_USER },
		{ .login = "bob@one", .tenant = "one", .role = ROLE_USER },
		{ .login = "admin@two", .tenant = "two", .role = ROLE_ADMIN },
		{ .login = "ann@one", .tenant = "one", .role = ROLE_NONE },
	};
	/* by root, the administrator and Ann of one, and one of two */
	static const size_t seen[] = { 4, 2, 1, 0, 1, 0 };
	const struct journal_filter filter = {
		.limit = 10, .force = -1, .notify = -1, .dry_run = -1,
	};
	struct temp_journal temp;
	struct strlist ids = { NULL, 0, 0 };
	struct recall *recall;
	json_t *list;
	size_t i, j, n;

	temp_journal_init(&temp);
	temp_journal_open(&temp);
	add_recall("root@r", "one", ROLE_SUPER);
	add_recall("admin@one", "one", ROLE_ADMIN);
	add_recall("ann@One", "one", ROLE_USER);
	add_recall("x@two", "two", ROLE_USER);
	CU_ASSERT(journal_unfinished(&ids));
	CU_ASSERT_EQUAL(ids.count, 4);
	for (i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		list = journal_list(&people[i], &filter);
		CU_ASSERT_EQUAL(json_array_size(list), seen[i]);
		json_decref(list);
		for (j = n = 0; j < ids.count; j++) {
			CU_ASSERT_EQUAL_FATAL(journal_load(ids.items[j],
							   &recall),
					      JOURNAL_FOUND);
			n += journal_visible(&people[i], recall);
			recall_free(recall);
		}
		CU_ASSERT_EQUAL(n, seen[i]);
	}
	strlist_free(&ids);
	journal_close();
	temp_journal_deinit(&temp);
}

/* A node's numbers may be anything; sums of many of them are numbers, too. */
static void test_row_numbers(void)
{
	static const struct {
		const char *text;
		int64_t number;
	} tests[] = {
		{ "7", 7 }, { "0", 0 }, { "7x", 7 }, { "", 0 }, { "x", 0 },
		{ "-1", 0 }, { " 1", 0 }, { "281474976710657", ROW_NUMBER_MAX },
		{ "99999999999999999999", ROW_NUMBER_MAX },
	};
	json_t *row;
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		row = json_pack("{s:s}", "n", tests[i].text);
		CU_ASSERT_EQUAL(row_number(row, "n"), tests[i].number);
		CU_ASSERT_EQUAL(row_number(row, "m"), 0);
		json_decref(row);
	}
	CU_ASSERT_EQUAL(row_number(NULL, "n"), 0);
}

/* Only an error that says so, and no other verdict, is a stop. */
static void test_row_is_stop(void)
{
	static const struct {
		const char *status, *error;
		bool stop;
	} tests[] = {
		{ "error", RECALL_ERROR_STOPPED, true },
		{ "error", RECALL_ERROR_STOPPED ": why", true },
		{ "error", "Not that: " RECALL_ERROR_STOPPED, false },
		{ "error", "", false },
		{ "error", NULL, false },
		{ "expunged", RECALL_ERROR_STOPPED, false },
		{ "nonsense", RECALL_ERROR_STOPPED, false },
		{ NULL, RECALL_ERROR_STOPPED, false },
		{ NULL, NULL, false },
	};
	json_t *row;
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		row = json_pack("{s:s*, s:s*}", RECALL_COLUMN_STATUS,
				tests[i].status, RECALL_COLUMN_ERROR,
				tests[i].error);
		CU_ASSERT_PTR_NOT_NULL_FATAL(row);
		CU_ASSERT_EQUAL(recall_row_is_stop(row), tests[i].stop);
		json_decref(row);
	}
}

static void never(void *context)
{
	(void)context;
	CU_FAIL("a task of no thread's");
}

/* A pool that has no thread takes tasks that nobody will ever do. */
static void test_pool_without_threads(void)
{
	struct worker_pool *pool = worker_pool_start(2, 1);
	pthread_attr_t attr, before;

	CU_ASSERT(pool != NULL);
	worker_pool_stop(pool);
	CU_ASSERT(!worker_pool_add(pool, never, NULL));
	worker_pool_free(pool);

	/* a stack that there is no room for */
	CU_ASSERT_EQUAL(pthread_getattr_default_np(&before), 0);
	CU_ASSERT_EQUAL(pthread_getattr_default_np(&attr), 0);
	pthread_attr_setstacksize(&attr, (size_t)1 << (sizeof(size_t) * 8 - 2));
	CU_ASSERT_EQUAL(pthread_setattr_default_np(&attr), 0);
	pool = worker_pool_start(2, 1);
	CU_ASSERT_EQUAL(pthread_setattr_default_np(&before), 0);
	pthread_attr_destroy(&attr);
	pthread_attr_destroy(&before);
	CU_ASSERT(pool == NULL);
	worker_pool_stop(pool);
	worker_pool_free(pool);
}

/* What is answered for the first time in a long while is counted, too. */
static void test_metrics(void)
{
	static const char *const routes[] = {
		"/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10",
	};
	const struct metrics_gauges gauges = { .connections = 0 };
	unsigned int status;
	size_t i;
	char *text;

	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		for (status = 500; status < 550; status++)
			metrics_request(routes[i], status, 1);
	}
	text = metrics_print(&gauges);
	CU_ASSERT(strstr(text, "mail_recalld_http_requests_total{route=\"/10\","
			 "status=\"549\"} 1\n") != NULL);
	free(text);
}

int main(void)
{
	CU_pSuite suite = tests_begin("service");

	CU_add_test(suite, "settings", test_settings);
	CU_add_test(suite, "settings that are wrong",
		    test_settings_that_are_wrong);
	CU_add_test(suite, "base64", test_base64);
	CU_add_test(suite, "utf-8", test_utf8);
	CU_add_test(suite, "addresses", test_address);
	CU_add_test(suite, "tokens", test_token);
	CU_add_test(suite, "brute force", test_bruteforce);
	CU_add_test(suite, "brute force of an account",
		    test_bruteforce_of_an_account);
	CU_add_test(suite, "users once", test_users_once);
	CU_add_test(suite, "camel case", test_camel_case);
	CU_add_test(suite, "numbers in rows", test_row_numbers);
	CU_add_test(suite, "rows that stop a recall", test_row_is_stop);
	CU_add_test(suite, "cursors", test_cursor);
	CU_add_test(suite, "pool without threads", test_pool_without_threads);
	CU_add_test(suite, "metrics", test_metrics);
	CU_add_test(suite, "journal", test_journal);
	CU_add_test(suite, "visible", test_visible);
	return tests_run();
}
