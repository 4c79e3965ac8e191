/* Settings: any file is taken over whole or refused with a reason. */
#include <string.h>
#include <strings.h>

#include "config-load.h"
#include "config.h"

#include "fuzz.h"

static char *path;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	path = fuzz_path("conf");
	return 0;
}

/* Whether secrets that go there leave this host in the clear. */
static bool is_in_the_clear(const char *url)
{
	static const char *const safe[] = {
		"https://", "http://127.", "http://localhost", "http://[::1]",
	};
	const char *at = strchr(url, '@');
	size_t i;

	/* of those with a user, and odd ways to write a host, config_load()
	   knows more */
	if (at != NULL || strpbrk(url, "%\\") != NULL ||
	    strstr(url, "///") != NULL)
		return false;
	for (i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
		if (strncasecmp(url, safe[i], strlen(safe[i])) == 0)
			return false;
	}
	return strncasecmp(url, "http://", strlen("http://")) == 0 &&
		strncmp(url + strlen("http://"), "0", 1) != 0;
}

/* What the daemon relies on, and what must not be open by mistake. */
static void check_taken(const struct config *config)
{
	size_t i;

	require(config->http_port >= 0 && config->http_port <= 65535);
	require(config->http_max_header >= 4096);
	require(config->http_max_body <= config->http_max_bodies);
	require(strlen(config->doveadm_login) >= strlen("doveadm:") + 1);
	if (strcmp(config->auth_jwt_algorithm, "HS256") == 0)
		require(strlen(config->auth_jwt_key) >= 32);
	else
		require(config->jwt_public_pem != NULL);
	require(*config->auth_jwt_old_key == '\0' ||
		strcmp(config->auth_jwt_algorithm, "HS256") != 0 ||
		strlen(config->auth_jwt_old_key) >= 32);
	require(config->nodes.count % 2 == 0);
	require(config->doveadm_urls.count > 0);
	for (i = 0; i < config->doveadm_urls.count; i++)
		require(config->doveadm_allow_plaintext ||
			!is_in_the_clear(config->doveadm_urls.items[i]));
	/* each domain has its node */
	for (i = 0; i < config->nodes.count; i += 2)
		require(config_domain_urls(config, config->nodes.items[i]) ==
			config->nodes.items[i + 1]);
	require(*config->webhook_url == '\0' ||
		!is_in_the_clear(config->webhook_url));
	require(*config->oidc_issuer == '\0' || config->oidc_allow_plaintext ||
		!is_in_the_clear(config->oidc_issuer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config;
	char *error = NULL;

	/* nobody is asked for settings: fuzz-etcd has the answers */
	if (memmem(data, size, "endpoints", strlen("endpoints")) != NULL)
		return 0;
	fuzz_write(path, data, size);
	config = config_load(path, &error);
	require((config == NULL) == (error != NULL));
	if (config != NULL)
		check_taken(config);
	config_unref(config);
	free(error);
	return 0;
}
