#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* Pairs of a form (application/x-www-form-urlencoded), and what to make of a
   Message-ID that the client forgot to encode, as callers of the backend's API
   do: curl -d 'messageid=<id@example.com>'. Decoded, "+" would become a space,
   "%41" a letter, and "&" would end it.

   An encoder never leaves "<" as it is. So if a pair begins with the octets
   "messageid=<", and the next ">" is followed by "&" or by the end of the body,
   and what they enclose is a valid Message-ID without another "<", then the
   value is that, from "<" to ">", octet for octet: neither "+" nor "%41" means
   anything else, and "&" is one of its characters. In any other case the pair
   ends at the next "&" and is decoded. A request that is encoded as it should
   be has no "<", so it never means another id than the one that was encoded.

   Where no brackets tell, a value is doubtful that has "@", "<" or ">" as they
   are, which most encoders do not leave, and a "+", which may or may not mean a
   space, and no "%": it is refused. */

/* Decodes what is URL-encoded in place, "+" as well in a form; returns the new
   length. What is no escape stays as it is; *broken_r, which may be NULL, says
   whether there was such. */
size_t http_url_decode(char *s, size_t len, bool form, bool *broken_r);

/* The end of the pair that begins at p. *bare_r says whether its value is to be
   taken as it stands. */
char *http_form_pair_end(char *p, char *end, bool *bare_r);
/* Whether it is a Message-ID that may be meant otherwise. To be asked before
   the pair is decoded. */
bool http_form_is_doubtful(const char *p, const char *stop);

#endif
