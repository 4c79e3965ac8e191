/* Settings: any file is taken over whole or refused with a reason. */
#include <string.h>

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
	config_unref(config);
	free(error);
	return 0;
}
