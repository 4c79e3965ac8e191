#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth-token.h"
#include "encode.h"
#include "run-tests.h"

#define KEY "a-key-for-tests-that-has-more-than-32-octets"
#define NOW 1000000
/* what each of them has */
#define WHO "\"sub\":\"a@b\",\"role\":1"
#define GOOD WHO ",\"exp\":1000100"

static struct config *make_config(void)
{
	struct config *config = config_new();
	char *error = NULL;

	CU_ASSERT_FATAL(config_set(config, "auth.jwt_key", KEY, &error));
	config->auth_clock_skew = 10;
	return config;
}

/* A token of these claims, signed with the key. */
static enum token_result
verify(const struct config *config, const char *claims,
       struct identity *identity_r)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	char data[2048], token[3072], *part[2], *sig;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	const char *why;
	enum token_result result;

	part[0] = base64url_encode(header, strlen(header));
	part[1] = base64url_encode(claims, strlen(claims));
	snprintf(data, sizeof(data), "%s.%s", part[0], part[1]);
	CU_ASSERT_PTR_NOT_NULL(HMAC(EVP_sha256(), KEY, strlen(KEY),
		(const unsigned char *)data, strlen(data), mac, &size));
	sig = base64url_encode(mac, size);
	snprintf(token, sizeof(token), "%s.%s", data, sig);
	free(part[0]);
	free(part[1]);
	free(sig);
	result = token_verify(config, token, NOW, identity_r, &why);
	return result;
}

static enum token_result judge(const struct config *config, const char *claims)
{
	struct identity identity;
	enum token_result result = verify(config, claims, &identity);

	if (result == TOKEN_INVALID)
		CU_ASSERT_PTR_NULL(identity.login);
	identity_clear(&identity);
	return result;
}

static void test_claims(void)
{
	static const struct {
		const char *claims;
		enum token_result result;
	} tests[] = {
		{ "{" GOOD "}", TOKEN_OK },
		{ "{" GOOD ",\"nbf\":1000000,\"iat\":1000000}", TOKEN_OK },
		/* clocks may differ by ten seconds */
		{ "{" GOOD ",\"nbf\":1000010,\"iat\":1000010}", TOKEN_OK },
		{ "{" GOOD ",\"nbf\":1000011}", TOKEN_INVALID },
		{ "{" GOOD ",\"iat\":1000011}", TOKEN_INVALID },
		{ "{" GOOD ",\"nbf\":\"1\"}", TOKEN_INVALID },
		{ "{" GOOD ",\"iat\":\"1\"}", TOKEN_INVALID },
		{ "{" WHO ",\"exp\":1000001}", TOKEN_OK },
		{ "{" WHO ",\"exp\":1000000}", TOKEN_EXPIRED },
		{ "{" WHO ",\"exp\":0}", TOKEN_EXPIRED },
		{ "{" WHO ",\"exp\":-1}", TOKEN_INVALID },
		{ "{" WHO ",\"exp\":\"1000100\"}", TOKEN_INVALID },
		{ "{" WHO "}", TOKEN_INVALID },
		{ "{" GOOD ",\"jti\":\"x\",\"tenant-id\":\"red\"}", TOKEN_OK },
		{ "{" GOOD ",\"jti\":1}", TOKEN_INVALID },
		{ "{" GOOD ",\"tenant-id\":1}", TOKEN_INVALID },
		{ "{" GOOD ",\"tenant-id\":\"a\\u0001\"}", TOKEN_INVALID },
		{ "{\"role\":1,\"exp\":1000100}", TOKEN_INVALID },
		{ "{\"role\":1,\"exp\":1000100,\"sub\":\"\"}", TOKEN_INVALID },
		{ "{\"role\":1,\"exp\":1000100,\"sub\":1}", TOKEN_INVALID },
		{ "{\"role\":1,\"exp\":1000100,\"sub\":\"a\\n\"}",
		  TOKEN_INVALID },
		{ "{\"sub\":\"a@b\",\"exp\":1000100}", TOKEN_INVALID },
		{ "{\"sub\":\"a@b\",\"exp\":1000100,\"role\":0}",
		  TOKEN_INVALID },
		{ "{\"sub\":\"a@b\",\"exp\":1000100,\"role\":3}", TOKEN_OK },
		{ "{\"sub\":\"a@b\",\"exp\":1000100,\"role\":4}",
		  TOKEN_INVALID },
		{ "{\"sub\":\"a@b\",\"exp\":1000100,\"role\":\"1\"}",
		  TOKEN_INVALID },
		{ "[]", TOKEN_INVALID },
		{ "{", TOKEN_INVALID },
		{ "", TOKEN_INVALID },
	};
	struct config *config = make_config();
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (judge(config, tests[i].claims) != tests[i].result)
			printf("\n%s\n", tests[i].claims);
		CU_ASSERT_EQUAL(judge(config, tests[i].claims),
				tests[i].result);
	}
	config_unref(config);
}

/* A login of 254 octets is one, of 255 none. */
static void test_longest_login(void)
{
	struct config *config = make_config();
	char login[256], claims[512];
	size_t len;

	memset(login, 'a', sizeof(login));
	for (len = 254; len <= 255; len++) {
		snprintf(claims, sizeof(claims),
			 "{\"exp\":1000100,\"role\":2,\"sub\":\"%.*s\"}",
			 (int)len, login);
		CU_ASSERT_EQUAL(judge(config, claims), len == 254 ? TOKEN_OK :
				TOKEN_INVALID);
	}
	config_unref(config);
}

static void test_parties(void)
{
	struct config *config = make_config();
	char *error = NULL;

	CU_ASSERT(config_set(config, "auth.jwt_issuer", "them", &error));
	CU_ASSERT_EQUAL(judge(config, "{" GOOD "}"), TOKEN_INVALID);
	CU_ASSERT_EQUAL(judge(config, "{" GOOD ",\"iss\":\"others\"}"),
			TOKEN_INVALID);
	CU_ASSERT_EQUAL(judge(config, "{" GOOD ",\"iss\":\"them\"}"),
			TOKEN_OK);
	CU_ASSERT(config_set(config, "auth.jwt_audience", "us", &error));
	CU_ASSERT_EQUAL(judge(config, "{" GOOD ",\"iss\":\"them\"}"),
			TOKEN_INVALID);
	CU_ASSERT_EQUAL(judge(config, "{" GOOD ",\"iss\":\"them\","
			      "\"aud\":[\"x\",\"us\"]}"), TOKEN_OK);
	CU_ASSERT_EQUAL(judge(config, "{" GOOD ",\"iss\":\"them\","
			      "\"aud\":\"x\"}"), TOKEN_INVALID);
	config_unref(config);
}

static void test_identity(void)
{
	struct config *config = make_config();
	struct identity who;

	CU_ASSERT_EQUAL(verify(config, "{" GOOD ",\"jti\":\"x\",\"iat\":5,"
			       "\"tenant-id\":\"red\"}", &who), TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(who.login, "a@b");
	CU_ASSERT_STRING_EQUAL(who.tenant, "red");
	CU_ASSERT_STRING_EQUAL(who.jti, "x");
	CU_ASSERT_EQUAL(who.role, ROLE_ADMIN);
	CU_ASSERT_EQUAL(who.issued, 5);
	CU_ASSERT_EQUAL(who.expires, NOW + 100);
	identity_clear(&who);
	CU_ASSERT_EQUAL(verify(config, "{" GOOD "}", &who), TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(who.tenant, "default");
	CU_ASSERT_PTR_NULL(who.jti);
	CU_ASSERT_PTR_NULL(who.session);
	CU_ASSERT_EQUAL(who.issued, -1);
	identity_clear(&who);
	CU_ASSERT_EQUAL(verify(config, "{" GOOD ",\"sid\":\"s\"}", &who),
			TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(who.session, "s");
	identity_clear(&who);
	/* another issuer's, and nothing to us */
	CU_ASSERT_EQUAL(verify(config, "{" GOOD ",\"sid\":5}", &who),
			TOKEN_OK);
	CU_ASSERT_PTR_NULL(who.session);
	identity_clear(&who);
	config_unref(config);
}

int main(void)
{
	CU_pSuite suite;

	suite = tests_begin("tokens");
	CU_add_test(suite, "claims", test_claims);
	CU_add_test(suite, "longest login", test_longest_login);
	CU_add_test(suite, "issuer and audience", test_parties);
	CU_add_test(suite, "who it is", test_identity);
	return tests_run();
}
