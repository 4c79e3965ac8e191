#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "jwt.h"
#include "run-tests.h"

#define SIGNED "what is signed"
/* r and s of P-256 */
#define HALF 32

static bool parses(const char *token)
{
	struct jwt jwt;
	bool ret = jwt_parse(token, &jwt);

	jwt_free(&jwt);
	return ret;
}

/* "e30" is an empty object. */
static void test_parts(void)
{
	struct jwt jwt;

	CU_ASSERT_FATAL(jwt_parse("e30.e30.AAAA", &jwt));
	CU_ASSERT_EQUAL(jwt.sig_len, 3);
	CU_ASSERT_EQUAL(jwt.data_len, strlen("e30.e30"));
	CU_ASSERT(memcmp(jwt.data, "e30.e30", jwt.data_len) == 0);
	jwt_free(&jwt);
	CU_ASSERT(!parses(""));
	CU_ASSERT(!parses("e30"));
	CU_ASSERT(!parses("e30.e30"));
	CU_ASSERT(!parses("e30.e30.AAAA.AAAA"));
	/* neither is base64url, or an object */
	CU_ASSERT(!parses("e30.e30.AAA="));
	CU_ASSERT(!parses("AAAA.e30.AAAA"));
	CU_ASSERT(!parses("W10.e30.AAAA"));
}

static void test_length(void)
{
	static const char start[] = "e30.e30.";
	char token[JWT_MAX + 5];
	size_t len = JWT_MAX / 4 * 4;

	memset(token, 'A', sizeof(token));
	memcpy(token, start, strlen(start));
	token[len] = '\0';
	CU_ASSERT(parses(token));
	token[len] = 'A';
	token[len + 4] = '\0';
	CU_ASSERT(!parses(token));
}

/* Returns the length of the signature. */
static size_t sign(EVP_PKEY *key, unsigned char *sig_r, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	CU_ASSERT_EQUAL_FATAL(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
						 key), 1);
	CU_ASSERT_EQUAL_FATAL(EVP_DigestSign(ctx, sig_r, &size,
			(const unsigned char *)SIGNED, strlen(SIGNED)), 1);
	EVP_MD_CTX_free(ctx);
	return size;
}

static void sign_es256(EVP_PKEY *key, unsigned char sig_r[2 * HALF])
{
	unsigned char der[128];
	const unsigned char *p = der;
	size_t len = sign(key, der, sizeof(der));
	ECDSA_SIG *ecdsa = d2i_ECDSA_SIG(NULL, &p, len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ecdsa);
	CU_ASSERT_EQUAL(BN_bn2binpad(ECDSA_SIG_get0_r(ecdsa), sig_r, HALF),
			HALF);
	CU_ASSERT_EQUAL(BN_bn2binpad(ECDSA_SIG_get0_s(ecdsa), sig_r + HALF,
				     HALF), HALF);
	ECDSA_SIG_free(ecdsa);
}

static void test_es256(void)
{
	unsigned char sig[2 * HALF + 1] = "";
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	struct jwt jwt = {
		.data = SIGNED, .data_len = strlen(SIGNED),
		.sig = sig, .sig_len = 2 * HALF,
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	sign_es256(key, sig);
	CU_ASSERT(jwt_verify(&jwt, key));
	CU_ASSERT(!jwt_verify(&jwt, other));
	/* an octet more, or less, is no signature */
	for (jwt.sig_len = 0; jwt.sig_len <= sizeof(sig); jwt.sig_len++)
		CU_ASSERT_EQUAL(jwt_verify(&jwt, key),
				jwt.sig_len == 2 * HALF);
	jwt.sig_len = 2 * HALF;
	jwt.data_len--;
	CU_ASSERT(!jwt_verify(&jwt, key));
	jwt.data_len++;
	sig[HALF] ^= 1;
	CU_ASSERT(!jwt_verify(&jwt, key));
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void test_rs256(void)
{
	unsigned char sig[256];
	EVP_PKEY *key = EVP_RSA_gen(2048);
	struct jwt jwt = {
		.data = SIGNED, .data_len = strlen(SIGNED),
		.sig = sig, .sig_len = sizeof(sig),
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL_FATAL(sign(key, sig, sizeof(sig)), sizeof(sig));
	CU_ASSERT(jwt_verify(&jwt, key));
	jwt.sig_len--;
	CU_ASSERT(!jwt_verify(&jwt, key));
	jwt.sig_len++;
	sig[0] ^= 1;
	CU_ASSERT(!jwt_verify(&jwt, key));
	EVP_PKEY_free(key);
}

/* Keys of neither kind verify nothing. */
static void test_other_keys(void)
{
	unsigned char sig[2 * HALF] = "";
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct jwt jwt = {
		.data = SIGNED, .data_len = strlen(SIGNED),
		.sig = sig, .sig_len = sizeof(sig),
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT(!jwt_verify(&jwt, key));
	EVP_PKEY_free(key);
}

static bool is_for(const char *audience)
{
	json_t *json = json_loads(audience, JSON_DECODE_ANY, NULL);
	bool ret = jwt_is_for(json, "us");

	json_decref(json);
	return ret;
}

static void test_audience(void)
{
	CU_ASSERT(is_for("\"us\""));
	CU_ASSERT(is_for("[\"them\", \"us\"]"));
	CU_ASSERT(!is_for("\"them\""));
	CU_ASSERT(!is_for("[\"them\", 1]"));
	CU_ASSERT(!is_for("[]"));
	CU_ASSERT(!is_for("1"));
	CU_ASSERT(!jwt_is_for(NULL, "us"));
}

static void test_times(void)
{
	json_t *claims = json_loads("{\"int\": 5, \"real\": 5.5, \"zero\": 0, "
		"\"text\": \"5\", \"past\": -1, \"far\": 1e15}", 0, NULL);
	int64_t found;

	CU_ASSERT(jwt_get_time(claims, "int", -1, &found) && found == 5);
	CU_ASSERT(jwt_get_time(claims, "real", -1, &found) && found == 5);
	CU_ASSERT(jwt_get_time(claims, "zero", -1, &found) && found == 0);
	CU_ASSERT(jwt_get_time(claims, "none", -1, &found) && found == -1);
	CU_ASSERT(!jwt_get_time(claims, "text", -1, &found));
	CU_ASSERT(!jwt_get_time(claims, "past", -1, &found));
	CU_ASSERT(!jwt_get_time(claims, "far", -1, &found));
	json_decref(claims);
}

int main(void)
{
	CU_pSuite suite;

	suite = tests_begin("jwt");
	CU_add_test(suite, "parts", test_parts);
	CU_add_test(suite, "longest", test_length);
	CU_add_test(suite, "ES256", test_es256);
	CU_add_test(suite, "RS256", test_rs256);
	CU_add_test(suite, "other keys", test_other_keys);
	CU_add_test(suite, "audiences", test_audience);
	CU_add_test(suite, "times", test_times);
	return tests_run();
}
