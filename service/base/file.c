#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "alloc.h"
#include "file.h"
#include "strbuf.h"

/* A configuration file or key that is larger than this is a mistake. */
#define FILE_SIZE_MAX (16 * 1024 * 1024)

char *read_whole_file(const char *path, char **error_r)
{
	struct strbuf buf = { NULL, 0, 0 };
	char block[4096];
	size_t n;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL) {
		*error_r = x_asprintf("open(%s): %s", path, strerror(errno));
		return NULL;
	}
	strbuf_add(&buf, "", 0);
	while ((n = fread(block, 1, sizeof(block), f)) > 0 &&
	       buf.len <= FILE_SIZE_MAX)
		strbuf_add(&buf, block, n);
	OPENSSL_cleanse(block, sizeof(block));
	if (ferror(f) || buf.len > FILE_SIZE_MAX) {
		*error_r = x_asprintf("read(%s): %s", path, ferror(f) ?
				      strerror(errno) : "too large");
		fclose(f);
		free_secret(buf.data);
		return NULL;
	}
	fclose(f);
	/* what follows it would be left out */
	if (strlen(buf.data) != buf.len) {
		*error_r = x_asprintf("%s: has a NUL octet", path);
		free_secret(buf.data);
		return NULL;
	}
	return buf.data;
}

bool file_is_open_to_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

char *read_secret_file(const char *path, char **error_r)
{
	char *s;
	size_t len;

	if (file_is_open_to_others(path)) {
		*error_r = x_asprintf("%s: is a secret that others can read "
				      "(chmod o-r)", path);
		return NULL;
	}
	s = read_whole_file(path, error_r);
	if (s == NULL)
		return NULL;
	len = strlen(s);
	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		s[--len] = '\0';
	return s;
}
