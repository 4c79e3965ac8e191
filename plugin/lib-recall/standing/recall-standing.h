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

#include "recall-limits.h"

struct recall_standing_order {
	/* RECALL_ID_LEN hexadecimal digits */
	const char *recall_id;
	/* The id asked for, or NULL: then the words of the query. */
	const char *message_id;
	const char *const *query;
	/* Only messages from these addresses, or NULL. */
	const char *const *senders;
	/* Only these users, masks (* and ?) among them, or NULL for
	   everyone. */
	const char *const *users;
	/* Only users of this tenant, or NULL. */
	const char *tenant;
	/* For the audit trail; "" if not given. */
	const char *reason, *actor;
	bool force, notify;
	time_t created, expires;
};
ARRAY_DEFINE_TYPE(recall_standing_order, struct recall_standing_order);

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

/* Reads an order into the pool. Returns 1 if it stands, 0 if there is none, -1
   if it can't be read. */
int recall_standing_read(const char *dir, const char *recall_id, pool_t pool,
			 struct recall_standing_order *order_r,
			 const char **error_r);

/* Whether it stands now, or may do so: it can't be read. */
bool recall_standing_is_in_force(const char *dir, const char *recall_id,
				 time_t now);

/* Whether there is no such order any more. Costs one system call. */
bool recall_standing_has_ended(const char *dir, const char *recall_id);

/* Appends all orders, the newest first, expired ones too. Returns -1 if the
   directory, or some order in it, can't be read; the others are there then. */
int recall_standing_list(const char *dir, pool_t pool,
			 ARRAY_TYPE(recall_standing_order) *orders,
			 const char **error_r);

/* Whether the order is for this user. */
bool recall_standing_is_for_user(const struct recall_standing_order *order,
				 const char *username);

#endif
