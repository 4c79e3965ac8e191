#ifndef VISIBLE_H
#define VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character of UTF-8 that a text, which is not at its end, goes on with.
   Returns its length in octets. *hidden_r is whether it does something else in
   a terminal or a log than to be seen: a control character (C0, DEL, C1), a
   separator of lines, one that changes the direction of writing, or an octet
   that is not UTF-8 at all. */
size_t visible_next(const char *s, uint32_t *code_r, bool *hidden_r);

#endif
