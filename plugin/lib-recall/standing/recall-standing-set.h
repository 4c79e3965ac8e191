#ifndef RECALL_STANDING_SET_H
#define RECALL_STANDING_SET_H

/* The set of all orders' hashes, mapped into memory.

   A header, then an entry an order, sorted by hash: the hash of the Message-ID
   (recall_index_hash()), when it expires, the recall id. Orders that are
   queries have the hash RECALL_STANDING_HASH_QUERY, the least of all: every
   message is looked at for them. All in the order of the machine's octets: the
   file is its node's own.

   Readers look once a message whether the file is another one than they have
   mapped. One that is damaged is an error: then what arrives is found by the
   next `recall standing run`, which reads the orders themselves. */

#include "guid.h"

#define RECALL_STANDING_HASH_QUERY 0

/* Its name in the directory. */
#define RECALL_STANDING_SET_NAME "set"

struct recall_standing_entry {
	uint64_t hash;
	uint64_t expires;
	guid_128_t recall_id;
};

struct recall_standing_set;

/* Writes the set into the directory, in place of the one there. The entries are
   sorted by the function. Returns -1 on errors. */
int recall_standing_set_write(const char *dir,
			      struct recall_standing_entry *entries,
			      unsigned int count, const char **error_r);
/* Takes the set away: there are no orders. */
int recall_standing_set_remove(const char *dir, const char **error_r);

/* Nothing is read before it is needed. */
struct recall_standing_set *recall_standing_set_init(const char *dir);
void recall_standing_set_deinit(struct recall_standing_set **set);

/* Looks whether there are orders now. Returns 1 if there are, 0 if not, -1 if
   that can't be known; the same damaged file is logged once only, *error_r is
   NULL the next times. */
int recall_standing_set_refresh(struct recall_standing_set *set,
				const char **error_r);

/* Appends the recall ids (guid_128_t) of the orders with this hash that have
   not expired. To be called after recall_standing_set_refresh(). */
void recall_standing_set_find(const struct recall_standing_set *set,
			      uint64_t hash, time_t now, buffer_t *recall_ids);
/* The same for all orders that there are. */
void recall_standing_set_get_all(const struct recall_standing_set *set,
				 time_t now, buffer_t *recall_ids);

#endif
