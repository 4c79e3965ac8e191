/* What etcd answers for a key. The first octet says for which. */
#include <string.h>

#include "config-etcd.h"

#include "fuzz.h"

static struct config *config;
static const char *keys[256], *names[256];
static unsigned int count;

static void add_key(const char *etcd_key, const char *key, void *context)
{
	(void)context;
	require(count < sizeof(keys) / sizeof(keys[0]));
	names[count] = etcd_key;
	keys[count++] = key;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config = config_new();
	config_etcd_keys(add_key, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config before = *config;
	unsigned int i;
	char *error = NULL;
	json_t *answer;
	bool ok;

	if (size == 0)
		return 0;
	answer = json_loadb((const char *)data + 1, size - 1, 0, NULL);
	if (answer == NULL)
		return 0;
	i = data[0] % count;
	ok = config_etcd_take(config, names[i], keys[i], answer, &error);
	require(ok == (error == NULL));
	/* strings are others if they were set */
	if (!ok)
		require(memcmp(config, &before, sizeof(before)) == 0);
	/* the same answer is the same again */
	free(error);
	error = NULL;
	require(config_etcd_take(config, names[i], keys[i], answer,
				 &error) == ok);
	free(error);
	json_decref(answer);
	return 0;
}
