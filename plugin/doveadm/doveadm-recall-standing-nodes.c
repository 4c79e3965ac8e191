#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "master-service.h"
#include "str.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "recall-proxy.h"
#include "recall-standing.h"
#include "recall-standing-nodes.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-standing.h"

/* Has the nodes that an order was given end it, too. */

struct standing_end {
	ARRAY_TYPE(const_string) told;
	/* what has failed, NULL if nothing has */
	string_t *errors;
	pool_t pool;
};

static void
end_add_args(void *context ATTR_UNUSED, const char *const *users ATTR_UNUSED,
	     ARRAY_TYPE(const_string) *args ATTR_UNUSED)
{
}

static void end_done(void *context, const char *node)
{
	struct standing_end *end = context;

	node = p_strdup(end->pool, node);
	array_push_back(&end->told, &node);
}

static void end_add_error(struct standing_end *end, const char *error)
{
	if (end->errors == NULL)
		end->errors = str_new(end->pool, 128);
	else
		str_append(end->errors, "; ");
	str_append(end->errors, error);
}

static void
end_lost(void *context, const char *node ATTR_UNUSED, const char *error)
{
	end_add_error(context, error);
}

/* Only what could not be ended is of interest. */
static bool end_wants_row(void *context ATTR_UNUSED)
{
	return FALSE;
}

static bool end_killed(const char **error_r)
{
	*error_r = "Killed";
	return master_service_is_killed(master_service);
}

static const struct recall_proxy_callbacks end_callbacks = {
	.add_args = end_add_args,
	.done = end_done,
	.lost = end_lost,
	.wants_row = end_wants_row,
	.killed = end_killed,
};

static void
end_on_nodes(const struct doveadm_cmd_context *cctx, const char *recall_id,
	     const ARRAY_TYPE(const_string) *nodes, struct standing_end *end)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_RECALL_ID },
		{ .name = RECALL_COLUMN_STATUS },
	};
	const char *const args[] = { "--", recall_id, NULL };
	/* whatever command it is that ends the order */
	struct doveadm_cmd_context end_cctx = *cctx;
	struct recall_proxy *proxy;
	struct recall_rows *rows;
	const char *node, *error;

	end_cctx.cmd = &doveadm_cmd_recall_standing_end;
	rows = recall_rows_init(&end_cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				N_ELEMENTS(columns));
	proxy = recall_proxy_init(&end_cctx, rows, NULL, NULL, args,
				  &end_callbacks, end);
	array_foreach_elem(nodes, node) {
		if (recall_proxy_node(proxy, node, &error) < 0)
			end_add_error(end, error);
	}
	recall_proxy_deinit(&proxy);
	recall_rows_deinit(&rows);
}

int recall_standing_end_all(const struct doveadm_cmd_context *cctx,
			    const char *dir, const char *recall_id,
			    const char **error_r)
{
	struct standing_end end = { .errors = NULL };
	ARRAY_TYPE(const_string) nodes;
	int ret;

	/* here first: a recall that goes on gives it to no other node then */
	ret = recall_standing_end(dir, recall_id, error_r);
	if (ret < 0)
		return -1;
	end.pool = pool_alloconly_create("standing end", 1024);
	p_array_init(&nodes, end.pool, 4);
	p_array_init(&end.told, end.pool, 4);
	if (recall_standing_nodes_read(dir, recall_id, end.pool, &nodes,
				       error_r) < 0) {
		ret = -1;
	} else if (!array_is_empty(&nodes)) {
		end_on_nodes(cctx, recall_id, &nodes, &end);
		array_append_zero(&end.told);
		ret = recall_standing_nodes_remove(dir, recall_id,
			array_front(&end.told), error_r) < 0 ? -1 : 1;
	}
	if (ret > 0 && end.errors != NULL) {
		*error_r = t_strdup_printf("The order has ended here, but "
			"stands on other nodes until this is run again: %s",
			str_c(end.errors));
		ret = -1;
	}
	pool_unref(&end.pool);
	return ret;
}
