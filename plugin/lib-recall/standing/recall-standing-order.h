#ifndef RECALL_STANDING_ORDER_H
#define RECALL_STANDING_ORDER_H

/* A standing order and its file (see recall-standing.h), which is named by the
   recall id and is read by every process. */

#include "recall-limits.h"

#define RECALL_STANDING_ORDER_SUFFIX ".order"

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

/* Whether the order is for this user. */
bool recall_standing_is_for_user(const struct recall_standing_order *order,
				 const char *username);

const char *recall_standing_order_path(const char *dir, const char *recall_id);
/* Writes the order's file anew; who calls has the directory's lock. On errors
   the former one is there. */
int recall_standing_order_write(const char *dir,
				const struct recall_standing_order *order,
				const char **error_r);

#endif
