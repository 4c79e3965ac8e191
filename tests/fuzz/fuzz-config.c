/* Settings: any file is taken over whole or refused with a reason. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config-load.h"
#include "config.h"

static char path[] = "/tmp/fuzz-config-XXXXXX";

static void clean(void)
{
	(void)unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	if (fd == -1)
		abort();
	close(fd);
	atexit(clean);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = open(path, O_TRUNC | O_WRONLY);
	struct config *config;
	char *error = NULL;

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	config = config_load(path, &error);
	if (config == NULL && error == NULL)
		abort();
	if (config != NULL)
		config_unref(config);
	free(error);
	return 0;
}
