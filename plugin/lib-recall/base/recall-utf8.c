#include "lib.h"
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

bool recall_is_ascii(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return FALSE;
	}
	return TRUE;
}
