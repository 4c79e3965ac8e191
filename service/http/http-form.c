#include <string.h>

#include "recall-message-id.h"
#include "http-form.h"

static const char id_name[] = "messageid=";
#define ID_NAME_LEN (sizeof(id_name) - 1)

/* The value of a pair that is a Message-ID, or NULL. */
static const char *id_value(const char *p, const char *end)
{
	if ((size_t)(end - p) < ID_NAME_LEN ||
	    memcmp(p, id_name, ID_NAME_LEN) != 0)
		return NULL;
	return p + ID_NAME_LEN;
}

/* Where an id in brackets ends that was not encoded, or NULL. */
static const char *bare_id_end(const char *p, const char *end)
{
	const char *value = id_value(p, end), *stop;
	struct recall_message_id id;

	if (value == NULL || value == end || *value != '<')
		return NULL;
	stop = memchr(value, '>', end - value);
	if (stop == NULL || (stop + 1 < end && stop[1] != '&') ||
	    memchr(value + 1, '<', stop - (value + 1)) != NULL ||
	    recall_message_id_parse(value, stop + 1 - value, &id) !=
	    RECALL_MESSAGE_ID_OK)
		return NULL;
	return stop + 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The octet that an escape at the beginning of the text means, or -1. */
static int unescape(const char *s, size_t len)
{
	int high, low;

	if (len < 3 || *s != '%')
		return -1;
	high = hex_digit(s[1]);
	low = hex_digit(s[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t http_url_decode(char *s, size_t len, bool form, bool *broken_r)
{
	bool broken = false;
	size_t i, n = 0;
	int octet;

	for (i = 0; i < len; i++) {
		octet = unescape(s + i, len - i);
		if (octet >= 0) {
			s[n++] = (char)octet;
			i += 2;
		} else if (s[i] == '+' && form) {
			s[n++] = ' ';
		} else {
			broken = broken || s[i] == '%';
			s[n++] = s[i];
		}
	}
	if (broken_r != NULL)
		*broken_r = broken;
	return n;
}

char *http_form_pair_end(char *p, char *end, bool *bare_r)
{
	const char *bare_end = bare_id_end(p, end);
	char *stop;

	*bare_r = bare_end != NULL;
	if (bare_end != NULL)
		return p + (bare_end - p);
	stop = memchr(p, '&', end - p);
	return stop == NULL ? end : stop;
}

bool http_form_is_doubtful(const char *p, const char *stop)
{
	const char *value = id_value(p, stop);
	size_t len;

	if (value == NULL || bare_id_end(p, stop) != NULL)
		return false;
	len = stop - value;
	return memchr(value, '+', len) != NULL &&
	       memchr(value, '%', len) == NULL &&
	       (memchr(value, '@', len) != NULL ||
		memchr(value, '<', len) != NULL ||
		memchr(value, '>', len) != NULL);
}
