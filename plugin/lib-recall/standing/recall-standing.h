#ifndef RECALL_STANDING_H
#define RECALL_STANDING_H

/* Standing orders: recalls that also take what arrives later.

   A node keeps its orders in one directory (setting recall_standing_dir), a
   file an order, named by its recall id. A file is written whole under another
   name and renamed; who changes the directory holds its lock. Everyone may read
   the directory: mail processes look at it as the users whose mail they save.

   So that saving a message costs next to nothing, the orders' hashes are in one
   more file, the set (see recall-standing-set.h). It is made anew from the
   orders after every change. An order whose file can't be read is an error to
   those who ask for it, and never takes the others with it. */

#include "recall-standing-order.h"

/* Adds the order, or replaces the one with its recall id, whose users stay in.
   Returns 1 if it stands, 0 if there are max others already and nothing has
   changed, -1 on errors: then nothing has changed either. */
int recall_standing_add(const char *dir,
			const struct recall_standing_order *order,
			unsigned int max, const char **error_r);
/* Adds the order's users to the one with its recall id. Returns 1 if it stands
   for them, 0 if there is none (any more), -1 on errors: then nothing has
   changed. */
int recall_standing_join(const char *dir,
			 const struct recall_standing_order *order,
			 const char **error_r);

/* Ends the order. Returns 1 if it stood, 0 if there was none, -1 on errors. */
int recall_standing_end(const char *dir, const char *recall_id,
			const char **error_r);

/* Ends orders that have expired, forgets what took place long ago, and writes a
   set that is missing or damaged anew. Returns the number of orders ended, or
   -1 on errors. */
int recall_standing_expire(const char *dir, time_t now, const char **error_r);

/* Appends all orders, the newest first, expired ones too. Returns -1 if the
   directory, or some order in it, can't be read; the others are there then. */
int recall_standing_list(const char *dir, pool_t pool,
			 ARRAY_TYPE(recall_standing_order) *orders,
			 const char **error_r);

#endif
