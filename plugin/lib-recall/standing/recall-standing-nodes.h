#ifndef RECALL_STANDING_NODES_H
#define RECALL_STANDING_NODES_H

/* Which nodes a proxy has given an order, so that they hear of its end wherever
   users have moved by then: the file ID.nodes beside the order. It outlives an
   order that has ended for as long as some node does not know. */

/* Notes that the node is about to be given the order, which expires then there.
   of_order: only if this node has it, too. node is one line of text. Returns 1,
   0 if the order has ended, -1 on errors. */
int recall_standing_nodes_add(const char *dir, const char *recall_id,
			      const char *node, time_t expires, bool of_order,
			      const char **error_r);
/* Appends the nodes to the array. Returns -1 on errors. */
int recall_standing_nodes_read(const char *dir, const char *recall_id,
			       pool_t pool, ARRAY_TYPE(const_string) *nodes,
			       const char **error_r);
/* These know that it has ended. */
int recall_standing_nodes_remove(const char *dir, const char *recall_id,
				 const char *const *nodes,
				 const char **error_r);
/* Forgets nodes where orders have expired. Who calls has the directory's
   lock. */
void recall_standing_nodes_expire(const char *dir, time_t now);

#endif
