/* Stands in for libFuzzer where there is none: runs a target on the inputs of
   its corpus, and on as many changed ones of each as asked for. Which changes
   that are depends on the input and the number alone, so what fails, fails
   again. FUZZ_CORPUS and FUZZ_CHANGED are the corpus of all targets, and how
   many; what is named on the command line is run as it is. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

/* Targets which need no start don't have one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

#define INPUT_MAX 65536

static uint64_t state;
static unsigned int runs;

/* xorshift64 */
static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static void run(const uint8_t *data, size_t size)
{
	/* of its own size, so that a sanitizer sees what is read beyond */
	uint8_t *copy = malloc(size > 0 ? size : 1);

	require(copy != NULL);
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	runs++;
}

/* Returns the new size. */
static size_t change(uint8_t *data, size_t size)
{
	static const uint8_t odd[] = {
		0, 1, '\t', '\n', '\r', ' ', '"', '%', '&', '(', '.', '/', '0',
		'9', ':', '<', '=', '>', '@', '[', '\\', 0x7f, 0x80, 0xff,
	};
	size_t pos = size == 0 ? 0 : any(size), len;

	switch (any(5)) {
	case 0:
		data[pos] ^= 1 << any(8);
		break;
	case 1:
		data[pos] = odd[any(sizeof(odd))];
		break;
	case 2:
		return pos;
	case 3:
		len = any(16);
		if (pos + len >= size)
			break;
		memmove(data + pos, data + pos + len, size - pos - len);
		return size - len;
	default:
		len = any(size - pos + 1);
		if (size + len > INPUT_MAX)
			break;
		memmove(data + pos + len, data + pos, size - pos);
		return size + len;
	}
	return size > 0 ? size : 1;
}

static void run_changed(const uint8_t *data, size_t size, unsigned int count)
{
	static uint8_t copy[INPUT_MAX];
	unsigned int i, n;
	size_t len;

	for (i = 0; i < count; i++) {
		state = 0x9e3779b97f4a7c15 * (i + 1) + size;
		memcpy(copy, data, size);
		len = size;
		for (n = 1 + any(4); n > 0; n--)
			len = change(copy, len);
		run(copy, len);
	}
}

static void run_file(const char *path, unsigned int changed)
{
	static uint8_t data[INPUT_MAX];
	int fd = open(path, O_RDONLY);
	ssize_t size = fd == -1 ? -1 : read(fd, data, sizeof(data));

	if (size == -1) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	close(fd);
	run(data, size);
	run_changed(data, size, changed);
}

static void run_dir(const char *path, unsigned int changed)
{
	struct dirent **entries;
	char *file;
	int i, count = scandir(path, &entries, NULL, alphasort);

	if (count == -1) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	for (i = 0; i < count; i++) {
		require(asprintf(&file, "%s/%s", path,
				 entries[i]->d_name) > 0);
		if (*entries[i]->d_name != '.')
			run_file(file, changed);
		free(file);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char *argv[])
{
	const char *corpus = getenv("FUZZ_CORPUS");
	const char *changed = getenv("FUZZ_CHANGED");
	const char *name = strstr(argv[0], "fuzz-");
	char *path;
	int i;

	if (LLVMFuzzerInitialize != NULL)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++)
		run_file(argv[i], 0);
	if (argc == 1 && corpus != NULL && name != NULL) {
		require(asprintf(&path, "%s/%s", corpus,
				 name + strlen("fuzz-")) > 0);
		run_dir(path, changed == NULL ? 0 : atoi(changed));
		free(path);
	}
	if (runs == 0) {
		fputs("There are no inputs\n", stderr);
		return EXIT_FAILURE;
	}
	printf("%u inputs\n", runs);
	return EXIT_SUCCESS;
}
