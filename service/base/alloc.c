#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "alloc.h"

void x_out_of_memory(void)
{
	fputs("mail-recalld: out of memory\n", stderr);
	abort();
}

static void *check_memory(void *p)
{
	if (p == NULL)
		x_out_of_memory();
	return p;
}

void *x_calloc(size_t count, size_t size)
{
	return check_memory(calloc(count > 0 ? count : 1, size));
}

void *x_realloc(void *p, size_t size)
{
	return check_memory(realloc(p, size));
}

char *x_strdup(const char *s)
{
	return check_memory(strdup(s));
}

char *try_strndup(const char *s, size_t len)
{
	char *p = malloc(len + 1);

	if (p != NULL) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

char *x_strndup(const char *s, size_t len)
{
	return check_memory(try_strndup(s, len));
}

char *x_vasprintf(const char *fmt, va_list args)
{
	char *s;

	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	return check_memory(s);
}

char *x_asprintf(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = x_vasprintf(fmt, args);
	va_end(args);
	return s;
}

void free_secret(char *s)
{
	if (s != NULL)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}
