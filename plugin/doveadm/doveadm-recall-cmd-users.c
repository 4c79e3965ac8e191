#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "sort.h"
#include "mail-storage-service.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-utf8.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-plugin.h"

/* Whoever asks everyone, a part at a time, must be able to go on after the last
   user it has been told of, in another process or after a crash: so these come
   in the order of their octets, which is none that a userdb has. */

#define USERS_LIMIT_DEFAULT 1000
#define USERS_LIMIT_MAX 1000000

struct users_page {
	const char *after;
	unsigned int limit;
	/* up to twice the limit, each belongs to the page */
	ARRAY(char *) names;
	/* full pages have been cut: no name above this one is wanted */
	const char *last;
};

static int users_cmp(char *const *name1, char *const *name2)
{
	return strcmp(*name1, *name2);
}

/* Sorts and forgets what is on no page, or twice. */
static void users_page_cut(struct users_page *page)
{
	unsigned int i, kept = 0;
	char **names, *name;

	array_sort(&page->names, users_cmp);
	names = array_front_modifiable(&page->names);
	for (i = 0; i < array_count(&page->names); i++) {
		name = names[i];
		if (kept < page->limit &&
		    (kept == 0 || strcmp(names[kept - 1], name) != 0))
			names[kept++] = name;
		else
			i_free(name);
	}
	array_delete(&page->names, kept, array_count(&page->names) - kept);
	if (kept == page->limit)
		page->last = names[kept - 1];
}

static void users_page_add(struct users_page *page, const char *username)
{
	const char *error;
	char *name;

	if (page->after != NULL && strcmp(username, page->after) <= 0)
		return;
	/* nobody can be asked for by some names; the first page tells of all */
	error = recall_username_get_error(username);
	if (error != NULL) {
		if (page->after == NULL) T_BEGIN {
			i_error("User %s is left out: %s",
				recall_utf8_line(username, UINT_MAX), error);
		} T_END;
		return;
	}
	if (page->last != NULL && strcmp(username, page->last) >= 0)
		return;
	name = i_strdup(username);
	array_push_back(&page->names, &name);
	if (array_count(&page->names) >= 2 * page->limit)
		users_page_cut(page);
}

static int users_page_fill(struct users_page *page,
			   struct mail_storage_service_ctx *service)
{
	const char *username;
	int ret;

	mail_storage_service_all_init_mask(service, RECALL_ANY_USER_MASK);
	while ((ret = mail_storage_service_all_next(service, &username)) > 0)
		users_page_add(page, username);
	if (!array_is_empty(&page->names))
		users_page_cut(page);
	return ret;
}

static void users_run(struct doveadm_cmd_context *cctx,
		      struct users_page *page)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_USERNAME },
	};
	const struct mail_storage_service_input input = {
		.service = "doveadm",
	};
	struct mail_storage_service_ctx *service;
	struct recall_rows *rows;
	char *name;

	rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				N_ELEMENTS(columns));
	service = recall_settings_init_service(
		MAIL_STORAGE_SERVICE_FLAG_USERDB_LOOKUP |
		(cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI ?
		 MAIL_STORAGE_SERVICE_FLAG_NO_LOG_INIT : 0));
	mail_storage_service_init_settings(service, &input);
	i_array_init(&page->names, I_MIN(page->limit, 1024));
	if (users_page_fill(page, service) < 0)
		recall_rows_error(rows, EX_TEMPFAIL, "Listing users failed");
	array_foreach_elem(&page->names, name) {
		if (doveadm_exit_code == 0)
			recall_rows_add(rows, name);
		i_free(name);
	}
	array_free(&page->names);
	recall_rows_finish(rows);
	recall_rows_deinit(&rows);
	mail_storage_service_deinit(&service);
}

static void cmd_recall_users(struct doveadm_cmd_context *cctx)
{
	struct users_page page;

	i_zero(&page);
	page.limit = USERS_LIMIT_DEFAULT;
	if (recall_cmd_params_check(cctx) < 0 ||
	    recall_cmd_param_number(cctx, RECALL_PARAM_LIMIT, &page.limit) < 0)
		return;
	if (page.limit > USERS_LIMIT_MAX) {
		recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_LIMIT
				 " is more than %u", USERS_LIMIT_MAX);
		return;
	}
	(void)doveadm_cmd_param_str(cctx, RECALL_PARAM_AFTER, &page.after);
	users_run(cctx, &page);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_users = {
	.name = RECALL_CMD_USERS,
	.cmd = cmd_recall_users,
	.usage = "[--after <user>] [--limit <n>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_AFTER, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('l', RECALL_PARAM_LIMIT, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
