#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "str.h"
#include "str-sanitize.h"
#include "unichar.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "recall-text.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-rights.h"
#include "recall-utf8.h"
#include "doveadm-recall-users.h"
#include "recall-share.h"
#include "doveadm-recall-acl-plugin.h"

#define RECALL_IDENTIFIER_PREFIX "user="

struct recall_share_command {
	const char *mailbox, *other, *tenant;
	/* NULL-terminated names; NULL to take them back */
	const char *const *rights;
	enum recall_share_status status;
	struct recall_rows *rows;
};

static struct recall_rows *
share_init_rows(const struct doveadm_cmd_context *cctx)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_OWNER },
		{ .name = RECALL_COLUMN_MAILBOX },
		{ .name = RECALL_COLUMN_USER },
		{ .name = RECALL_COLUMN_RIGHTS,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_SUBSCRIBED_AS,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_STATUS },
		{ .name = RECALL_COLUMN_ERROR },
	};

	return recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				N_ELEMENTS(columns));
}

static void
share_print(struct recall_share_command *cmd, const char *owner,
	    const char *mailbox, const char *other, const char *rights,
	    const char *name, const char *error)
{
	struct recall_rows *rows = cmd->rows;

	recall_rows_add(rows, owner);
	recall_rows_add(rows, mailbox);
	recall_rows_add(rows, other);
	recall_rows_add(rows, rights);
	recall_rows_add(rows, name);
	recall_rows_add(rows, recall_share_status_name(cmd->status));
	recall_rows_add(rows, error);
	recall_rows_set_exit_code(rows,
		recall_share_status_exit_code(cmd->status));
}

static void
cmd_share_run(void *context, struct mail_user *user,
	      const char *username ATTR_UNUSED)
{
	struct recall_share_command *cmd = context;
	struct recall_share share;
	const char *rights = NULL, *name = NULL;
	pool_t pool = pool_alloconly_create("recall share", 1024);
	bool adding = cmd->rights != NULL;

	if (recall_share_init(&share, pool, user, cmd->mailbox, cmd->other,
			      cmd->tenant, adding, &cmd->status)) {
		cmd->status = adding ?
			recall_share_add(&share, cmd->rights) :
			recall_share_remove(&share);
	}
	if (cmd->status == RECALL_SHARE_SHARED) {
		rights = recall_acl_rights_to_text(cmd->rights, NULL);
		name = share.subscribed ? share.name : NULL;
	} else if (cmd->status == RECALL_SHARE_UNSHARED) {
		rights = recall_acl_rights_to_text(share.entry.rights,
						   share.entry.neg_rights);
		name = share.subscribed ? share.name : NULL;
	}
	share_print(cmd, share.owner, share.mailbox, share.other, rights, name,
		    share.error);
	recall_share_deinit(&share);
	pool_unref(&pool);
}

static void
cmd_share_unseen(void *context, const char *username,
		 enum recall_verdict verdict, const char *error)
{
	struct recall_share_command *cmd = context;

	cmd->status = verdict == RECALL_VERDICT_NO_USER ?
		RECALL_SHARE_NO_USER : RECALL_SHARE_ERROR;
	share_print(cmd, username, cmd->mailbox, cmd->other, NULL, NULL, error);
}

static const struct recall_users_callbacks share_callbacks = {
	.run = cmd_share_run,
	.unseen = cmd_share_unseen,
	.one_row = TRUE,
};

int recall_share_status_exit_code(enum recall_share_status status)
{
	switch (status) {
	case RECALL_SHARE_SHARED:
	case RECALL_SHARE_UNSHARED:
		return 0;
	case RECALL_SHARE_NOT_SHARED:
	case RECALL_SHARE_NO_MAILBOX:
		return DOVEADM_EX_NOTFOUND;
	case RECALL_SHARE_NO_USER:
		return EX_NOUSER;
	case RECALL_SHARE_FORBIDDEN:
		return EX_NOPERM;
	case RECALL_SHARE_NOT_POSSIBLE:
		return DOVEADM_EX_NOTPOSSIBLE;
	case RECALL_SHARE_ERROR:
	case RECALL_SHARE_STATUS_COUNT:
		break;
	}
	return EX_TEMPFAIL;
}

static const char *
share_parse_rights(const struct doveadm_cmd_context *cctx,
		   struct recall_share_command *cmd)
{
	ARRAY_TYPE(const_string) names;
	const char *const *words, *name, *bad;
	unsigned int i, mask;
	size_t bad_len;

	if (!doveadm_cmd_param_array(cctx, RECALL_PARAM_RIGHTS, &words))
		return "No rights are given";
	if (recall_rights_parse(words, &mask, &bad, &bad_len) < 0) {
		if (bad == NULL)
			return "No rights are given";
		return t_strdup_printf("There is no right %s",
			str_sanitize(t_strndup(bad, bad_len), 80));
	}
	t_array_init(&names, RECALL_RIGHTS_COUNT + 1);
	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		if ((mask & (1U << i)) == 0)
			continue;
		name = recall_rights_name(i);
		array_push_back(&names, &name);
	}
	array_append_zero(&names);
	cmd->rights = array_front(&names);
	return NULL;
}

/* Returns why the command's parameters can't be accepted, or NULL. */
static const char *
share_parse(const struct doveadm_cmd_context *cctx, bool adding,
	    struct recall_share_command *cmd_r)
{
	const char *const *owners, *id, *error;

	i_zero(cmd_r);
	/* nothing to be done for many users in one go */
	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_TCP) {
		if (!recall_cmd_param_user(cctx, &owners) || owners[0] == NULL)
			return "The owner is missing (-u)";
		if (owners[1] != NULL)
			return "There is more than one owner (-u)";
		error = recall_username_get_error(owners[0]);
		if (error != NULL)
			return error;
	}
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_MAILBOX,
				   &cmd_r->mailbox) || *cmd_r->mailbox == '\0')
		return "The mailbox is missing";
	if (!uni_utf8_str_is_valid(cmd_r->mailbox))
		return "The mailbox name is not valid UTF-8";
	if (recall_text_has_control(cmd_r->mailbox))
		return "The mailbox name has control characters";
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_IDENTIFIER, &id))
		return "The other user is missing ("
			RECALL_IDENTIFIER_PREFIX"NAME)";
	if (!str_begins_with(id, RECALL_IDENTIFIER_PREFIX))
		return "The other user is not given as "
			RECALL_IDENTIFIER_PREFIX"NAME";
	cmd_r->other = id + strlen(RECALL_IDENTIFIER_PREFIX);
	error = recall_username_get_error(cmd_r->other);
	if (error != NULL)
		return error;
	/* such names are best kept out of ACL files */
	if (strchr(cmd_r->other, ' ') != NULL)
		return "The user name has white space";
	if (doveadm_cmd_param_str(cctx, RECALL_PARAM_TENANT, &cmd_r->tenant) &&
	    *cmd_r->tenant == '\0')
		return "--"RECALL_PARAM_TENANT" is empty";
	return adding ? share_parse_rights(cctx, cmd_r) : NULL;
}

static void share_command(struct doveadm_cmd_context *cctx, bool adding)
{
	struct recall_share_command cmd;
	const char *error;

	if (recall_cmd_params_check(cctx) < 0)
		return;
	error = share_parse(cctx, adding, &cmd);
	if (error != NULL) {
		recall_cmd_error(cctx, EX_USAGE, "%s", error);
		return;
	}
	cmd.rows = share_init_rows(cctx);
	(void)recall_users_run(cctx, cmd.rows, &share_callbacks, &cmd);
	recall_rows_deinit(&cmd.rows);
}

static void cmd_recall_share(struct doveadm_cmd_context *cctx)
{
	share_command(cctx, TRUE);
}

static void cmd_recall_unshare(struct doveadm_cmd_context *cctx)
{
	share_command(cctx, FALSE);
}

#define RECALL_SHARE_PARAMS \
DOVEADM_CMD_PARAM('S', "socket-path", CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('u', RECALL_PARAM_USER, CMD_PARAM_ARRAY, 0) \
DOVEADM_CMD_PARAM('t', RECALL_PARAM_TENANT, CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_MAILBOX, CMD_PARAM_STR, \
		  CMD_PARAM_FLAG_POSITIONAL) \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_IDENTIFIER, CMD_PARAM_STR, \
		  CMD_PARAM_FLAG_POSITIONAL)

#define RECALL_SHARE_USAGE \
	"-u <owner> [-S <socket_path>] [--tenant <tenant>] " \
	"<mailbox> user=<other>"

struct doveadm_cmd_ver2 doveadm_cmd_recall_share = {
	.name = RECALL_CMD_SHARE,
	.cmd = cmd_recall_share,
	.usage = RECALL_SHARE_USAGE" <right> [<right> ...]",
DOVEADM_CMD_PARAMS_START
RECALL_SHARE_PARAMS
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_RIGHTS, CMD_PARAM_ARRAY,
		  CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_recall_unshare = {
	.name = RECALL_CMD_UNSHARE,
	.cmd = cmd_recall_unshare,
	.usage = RECALL_SHARE_USAGE,
DOVEADM_CMD_PARAMS_START
RECALL_SHARE_PARAMS
DOVEADM_CMD_PARAMS_END
};
