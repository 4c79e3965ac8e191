#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What libFuzzer, or replay.c in its place, calls. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to be true of every input. */
#define require(condition) \
	do { \
		if (!(condition)) \
			fuzz_failed(#condition, __FILE__, __LINE__); \
	} while (0)

void fuzz_failed(const char *condition, const char *file, int line)
	__attribute__((noreturn));

/* A directory of the program's own, in memory if that is possible, which is
   gone when the program ends. */
const char *fuzz_dir(void);
/* A path in there; the caller frees it. */
char *fuzz_path(const char *name);
/* Makes a file of it, or has it be what is in there. */
void fuzz_write(const char *path, const void *data, size_t size);

#endif
