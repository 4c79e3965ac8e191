#ifndef NOTICE_MESSAGE_H
#define NOTICE_MESSAGE_H

/* Takes a rendered notice apart, without any of the code that put it together,
   and asserts on the way that it is well-formed. Results are of the data
   stack. */

/* The unfolded value, as it stands or decoded. NULL if there is no such header;
   there must not be more than one. */
const char *header_raw(const char *message, const char *name);
const char *header(const char *message, const char *name);
/* The body decoded, with LFs. */
const char *body(const char *message);
/* Whether the text has the part. */
bool contains(const char *text, const char *part);
/* Asserts what holds for every notice, whatever is in it. */
void check_message(const char *message);

#endif
