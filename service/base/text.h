#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Returns a copy, which the caller frees. ASCII only: Dovecot's auth process
   does no more to a user name. */
char *ascii_lower(const char *text);

/* Whether it is UTF-8 without NUL. */
bool utf8_valid(const char *s, size_t len);

/* How many octets of a valid text make whole characters and are no more than
   max. */
size_t utf8_cut(const char *s, size_t max);

#endif
