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
