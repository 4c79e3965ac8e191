#ifndef QUERY_WORD_H
#define QUERY_WORD_H

#include "strlist.h"

/* It is Dovecot that reads search queries: this is for whoever has to be told
   that it does not, which it says in its own log alone. */

/* Names the first word of the query that stands where a key does and is none,
   or the key that lacks what follows it. NULL if there is none that is known
   of; the caller frees it. */
char *query_word_why(const struct strlist *query);

#endif
