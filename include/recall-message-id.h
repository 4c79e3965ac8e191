#ifndef RECALL_MESSAGE_ID_H
#define RECALL_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>

/* A Message-ID without its outer white space and angle brackets: octets that
   are compared as they are, case kept. Points into the text it was made of;
   not NUL-terminated. */
struct recall_message_id {
	const char *data;
	size_t len;
};

enum recall_message_id_error {
	RECALL_MESSAGE_ID_OK = 0,
	/* Nothing, or nothing but brackets. */
	RECALL_MESSAGE_ID_EMPTY,
	/* A control character (CR, LF, NUL, DEL, ...). */
	RECALL_MESSAGE_ID_CONTROL,
	/* White space inside. */
	RECALL_MESSAGE_ID_SPACE,
	/* Over RECALL_MESSAGE_ID_MAX octets. */
	RECALL_MESSAGE_ID_TOO_LONG,
	/* More than one id. */
	RECALL_MESSAGE_ID_MULTIPLE
};

/* Checks an id that a request asks for. It may have outer spaces and tabs and
   may come with or without angle brackets. id_r is set if the answer is
   RECALL_MESSAGE_ID_OK. */
enum recall_message_id_error
recall_message_id_parse(const char *data, size_t size,
			struct recall_message_id *id_r);

/* Why an id is refused, in English, e.g. "is empty". */
const char *recall_message_id_strerror(enum recall_message_id_error error);

/* Takes the id out of a message's Message-ID header value, which may be folded
   and is not checked any further. Returns false if it holds none. */
bool recall_message_id_from_header(const char *value, size_t size,
				   struct recall_message_id *id_r);

bool recall_message_id_equals(const struct recall_message_id *id1,
			      const struct recall_message_id *id2);

#endif
