#include "visible.h"

static bool is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) ||
	       /* marks, embeddings, overrides and isolates (Unicode, UAX #9) */
	       c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       /* line and paragraph */
	       c == 0x2028 || c == 0x2029 ||
	       /* nothing to see, and tags */
	       c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

size_t visible_next(const char *s, uint32_t *code_r, bool *hidden_r)
{
	static const uint32_t min[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c = *p;
	size_t len, i;

	len = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 :
	      (c & 0xf8) == 0xf0 ? 4 : 0;
	if (len > 1)
		c &= 0x7f >> len;
	for (i = 1; i < len && (p[i] & 0xc0) == 0x80; i++)
		c = (c << 6) | (p[i] & 0x3f);
	if (len == 0 || i < len || c < min[len] || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff)) {
		*code_r = *p;
		*hidden_r = true;
		return 1;
	}
	*code_r = c;
	*hidden_r = is_hidden(c);
	return len;
}
