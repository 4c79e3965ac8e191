#ifndef ALLOC_H
#define ALLOC_H

#include <stdarg.h>
#include <stddef.h>

/* Memory that is there or the process is not: none of these return NULL. */
void *x_calloc(size_t count, size_t size);
void *x_realloc(void *p, size_t size);
char *x_strdup(const char *s);
char *x_strndup(const char *s, size_t len);
char *x_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *x_vasprintf(const char *fmt, va_list args)
	__attribute__((format(printf, 1, 0)));
/* Ends the process. */
void x_out_of_memory(void) __attribute__((noreturn));

/* The same, but NULL if there is no memory: for what a client's request makes
   as large as it likes. */
char *try_strndup(const char *s, size_t len);

/* Overwrites the string before it is freed. NULL is fine. */
void free_secret(char *s);

#endif
