#include <string.h>

#include "recall-limits.h"
#include "recall-message-id.h"

static bool is_outer_space(char c, bool folded)
{
	return c == ' ' || c == '\t' || (folded && (c == '\r' || c == '\n'));
}

static struct recall_message_id
trim(const char *data, size_t size, bool folded)
{
	while (size > 0 && is_outer_space(data[0], folded)) {
		data++;
		size--;
	}
	while (size > 0 && is_outer_space(data[size - 1], folded))
		size--;
	if (size > 0 && data[0] == '<') {
		data++;
		size--;
	}
	if (size > 0 && data[size - 1] == '>')
		size--;
	return (struct recall_message_id){ .data = data, .len = size };
}

enum recall_message_id_error
recall_message_id_parse(const char *data, size_t size,
			struct recall_message_id *id_r)
{
	struct recall_message_id id = trim(data, size, false);
	size_t i;
	bool space = false, bracket = false;

	if (id.len == 0)
		return RECALL_MESSAGE_ID_EMPTY;
	/* the reason given must not depend on what else is wrong: control
	   characters are named first, since they are never a slip */
	for (i = 0; i < id.len; i++) {
		unsigned char c = id.data[i];

		if (c == ' ')
			space = true;
		else if (c == '<' || c == '>')
			bracket = true;
		else if (c < 0x20 || c == 0x7f)
			return RECALL_MESSAGE_ID_CONTROL;
	}
	if (bracket)
		return RECALL_MESSAGE_ID_MULTIPLE;
	if (space)
		return RECALL_MESSAGE_ID_SPACE;
	if (id.len > RECALL_MESSAGE_ID_MAX)
		return RECALL_MESSAGE_ID_TOO_LONG;
	*id_r = id;
	return RECALL_MESSAGE_ID_OK;
}

const char *recall_message_id_strerror(enum recall_message_id_error error)
{
	switch (error) {
	case RECALL_MESSAGE_ID_OK:
		break;
	case RECALL_MESSAGE_ID_EMPTY:
		return "is empty";
	case RECALL_MESSAGE_ID_CONTROL:
		return "has a control character";
	case RECALL_MESSAGE_ID_SPACE:
		return "has white space inside";
	case RECALL_MESSAGE_ID_TOO_LONG:
		return "is longer than 998 octets";
	case RECALL_MESSAGE_ID_MULTIPLE:
		return "is more than one id";
	}
	return "is valid";
}

bool recall_message_id_from_header(const char *value, size_t size,
				   struct recall_message_id *id_r)
{
	*id_r = trim(value, size, true);
	return id_r->len > 0;
}

bool recall_message_id_equals(const struct recall_message_id *id1,
			      const struct recall_message_id *id2)
{
	return id1->len == id2->len &&
	       memcmp(id1->data, id2->data, id1->len) == 0;
}
