#include "lib.h"
#include "str.h"
#include "unichar.h"
#include "recall-utf8.h"

size_t recall_utf8_whole_size(const unsigned char *data, size_t size)
{
	size_t start = size, needed;

	while (start > 0 && size - start < 3 &&
	       (data[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || data[start - 1] < 0xc0)
		return size;
	start--;
	needed = data[start] >= 0xf0 ? 4 : data[start] >= 0xe0 ? 3 : 2;
	return size - start < needed ? start : size;
}

/* Not str_sanitize_utf8(): it takes a character that is cut off at the end for
   the end of what fits, drops what came before it, and counts none of what is
   no UTF-8. */
const char *recall_utf8_line(const char *text, unsigned int max_chars)
{
	const char *end = text + strlen(text);
	string_t *str = t_str_new(end - text + 8);
	size_t last_pos = 0;
	unsigned int count;
	unichar_t chr;
	int len;

	for (count = 0; count < max_chars && text < end; count++) {
		last_pos = str_len(str);
		len = uni_utf8_get_char_n(text, end - text, &chr);
		if (len <= 0 || chr < ' ' || (chr >= 0x7f && chr < 0xa0))
			str_append(str, UNICODE_REPLACEMENT_CHAR_UTF8);
		else
			str_append_data(str, text, len);
		text += len <= 0 ? 1 : len;
	}
	if (text < end) {
		str_truncate(str, last_pos);
		str_append(str, UNICODE_HORIZONTAL_ELLIPSIS_CHAR_UTF8);
	}
	return str_c(str);
}

bool recall_is_ascii(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return FALSE;
	}
	return TRUE;
}
