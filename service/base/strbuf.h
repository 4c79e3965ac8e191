#ifndef STRBUF_H
#define STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/* A text that grows. Zeroed is empty; free(data) ends it. */
struct strbuf {
	char *data;
	size_t len;
	size_t size;
};

/* The data stays NUL-terminated. */
void strbuf_add(struct strbuf *b, const void *data, size_t len);
/* Returns false if there is no memory, and leaves it as it is. */
bool strbuf_try_add(struct strbuf *b, const void *data, size_t len);
void strbuf_addf(struct strbuf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
