/* Access tokens: whatever is sent, it is no token of ours unless we signed
   it. */
#include <string.h>

#include "auth-token.h"

#include "fuzz.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define NOW 1700000000

static struct config config = {
	.auth_jwt_algorithm = "HS256",
	.auth_jwt_key = KEY,
	.auth_jwt_key_id = "", .auth_jwt_old_key = "",
	.auth_jwt_old_key_id = "", .auth_jwt_issuer = "",
	.auth_jwt_audience = "",
	.auth_access_token_exp_time = 3600,
	.auth_clock_skew = 30,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *good;
	struct identity identity, who = {
		.login = "a@example.com", .tenant = "t", .role = ROLE_USER,
	};
	char *token, jti[TOKEN_ID_LEN + 1];
	enum token_result result;
	const char *why;

	if (good == NULL)
		good = token_issue(&config, &who, "family", NOW, -1, jti);
	token = malloc(size + 1);
	memcpy(token, data, size);
	token[size] = '\0';
	/* what begins with "=" changes the token that is there */
	if (size > 3 && *token == '=') {
		size_t at = (unsigned char)token[1] << 8 |
			(unsigned char)token[2];
		char *changed = strdup(good);

		changed[at % strlen(good)] = token[3];
		free(token);
		token = changed;
	}
	memset(&identity, 0, sizeof(identity));
	result = token_verify(&config, token, NOW + 10, &identity, &why);
	require(result != TOKEN_OK || strcmp(token, good) == 0);
	identity_clear(&identity);
	free(token);
	return 0;
}
