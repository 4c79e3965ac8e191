#ifndef RECALL_MESSAGE_ID_H
#define RECALL_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "recall-limits.h"

/* Which messages an id means.

   A Message-ID field ought to hold one msg-id of RFC 5322, "<left@right>", and
   nothing else. What senders really write has comments, white space around and
   inside, several ids, words or a ";" beside them, no brackets. So a field is
   read as the grammar with its obsolete forms allows (RFC 5322, 4.5.4):

   - A token is what stands in angle brackets. Quoted strings and comments may
     hold brackets, which then do not count; one that is not closed within
     RECALL_MESSAGE_ID_MAX octets is an ordinary character. "<" within "<" makes
     no token. (Where finding out what is closed takes a million steps and more,
     as it does only where that is the sender's purpose, all that comes later
     are ordinary characters, too.)
   - A field has these names: each token as it stands; each token without its
     comments and without the white space that the grammar allows around words,
     "." and "@"; and the field's whole value, unless it is one token and no
     more. A value without any token has but its own name, an angle bracket
     without its other half not counted.
   - Everywhere folding white space counts as one space, and none at the ends;
     but for folds, quoted strings are kept to the letter.

   An id asked for is a name: what stands in its brackets, if it is a token; the
   value itself, if it is not. It means the messages with a Message-ID field,
   any of them, that has exactly this name: the same octets, case kept. What is
   asked for is never simplified: "<a (1)@b>" is "<a@b>" by the grammar, but it
   must not find "<a (2)@b>".

   A name over RECALL_MESSAGE_ID_MAX octets can't be asked for, so a field has
   none such. */

struct recall_message_id {
	/* NUL-terminated */
	char data[RECALL_MESSAGE_ID_MAX + 1];
	size_t len;
};

enum recall_message_id_error {
	RECALL_MESSAGE_ID_OK = 0,
	/* Nothing, or nothing but brackets. */
	RECALL_MESSAGE_ID_EMPTY,
	/* A control character (CR, LF, NUL, DEL, ...), also a tab in an id. */
	RECALL_MESSAGE_ID_CONTROL,
	/* Neither "@" nor angle brackets: hardly meant as an id. */
	RECALL_MESSAGE_ID_BARE,
	/* Over RECALL_MESSAGE_ID_MAX octets. */
	RECALL_MESSAGE_ID_TOO_LONG
};

/* Reads an id that a request asks for. It may have outer spaces and tabs and
   may come with or without angle brackets, or be a whole field's value as it
   stands. id_r is set if the answer is RECALL_MESSAGE_ID_OK. */
enum recall_message_id_error
recall_message_id_parse(const char *data, size_t size,
			struct recall_message_id *id_r);

/* Why an id is refused, in English, e.g. "is empty". */
const char *recall_message_id_strerror(enum recall_message_id_error error);

/* Called for each name of a field. The same one may come twice. Returns false
   to end it. */
typedef bool recall_message_id_callback_t(const struct recall_message_id *id,
					  void *context);

/* Calls back for each name of a Message-ID field with this value, which may be
   folded. The first one is what people take for the message's id. Returns
   false if the callback did. */
bool recall_message_id_foreach(const char *value, size_t size,
			       recall_message_id_callback_t *callback,
			       void *context);

/* The first name. Returns false if there is none. */
bool recall_message_id_from_header(const char *value, size_t size,
				   struct recall_message_id *id_r);

/* Whether the id means messages with a Message-ID field of this value. */
bool recall_message_id_is_in_header(const struct recall_message_id *id,
				    const char *value, size_t size);

#endif
