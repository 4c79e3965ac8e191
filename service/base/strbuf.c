#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "strbuf.h"

bool strbuf_try_add(struct strbuf *b, const void *data, size_t len)
{
	if (b->len + len + 1 > b->size) {
		size_t size = (b->len + len + 1) * 2;
		char *p = realloc(b->data, size);

		if (p == NULL)
			return false;
		b->data = p;
		b->size = size;
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	if (!strbuf_try_add(b, data, len))
		x_out_of_memory();
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = x_vasprintf(fmt, args);
	va_end(args);
	strbuf_add(b, s, strlen(s));
	free(s);
}
