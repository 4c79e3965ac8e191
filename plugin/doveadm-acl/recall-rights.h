#ifndef RECALL_RIGHTS_H
#define RECALL_RIGHTS_H

#include <stddef.h>

/* The rights that an ACL may give (RFC 4314), by the names that Dovecot uses
   for them: lookup, read, write, write-seen, write-deleted, insert, post,
   expunge, create, delete and admin. A set of them is a mask of
   1 << <index>, in this order. */

#define RECALL_RIGHTS_COUNT 11

/* Of use where a right matters to us, too. */
#define RECALL_RIGHT_LOOKUP (1U << 0)

/* Reads a list of rights, NULL-terminated. Each word is a right's name, letters
   of RFC 4314 ("lrs"; a name goes first: "write" is a right), a preset
   (reader: look and read; editor: change the mail in it, too; owner:
   everything), or several of these with commas or spaces in between. Returns 0,
   or -1 if a word is none of them (*bad_r and *bad_len_r are that word) or if
   there is none at all (*bad_r is NULL). */
int recall_rights_parse(const char *const *words, unsigned int *rights_r,
			const char **bad_r, size_t *bad_len_r);

/* The name of a right, 0 <= index < RECALL_RIGHTS_COUNT. */
const char *recall_rights_name(unsigned int index);

/* The index of the right with this name, or -1. */
int recall_rights_find(const char *name);

#endif
