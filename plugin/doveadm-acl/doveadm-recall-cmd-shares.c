#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-service.h"
#include "mailbox-list-iter.h"
#include "acl-api.h"
#include "acl-plugin.h"
#include "doveadm.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-list-check.h"
#include "recall-tenant.h"
#include "doveadm-recall-users.h"
#include "recall-acl.h"
#include "recall-share.h"
#include "recall-share-view.h"
#include "doveadm-recall-acl-plugin.h"

/* An ACL entry of one of the user's mailboxes. */
struct recall_shares_entry {
	const char *mailbox, *storage_name;
	/* the other user, or whoever else if username is NULL */
	const char *id, *username;
	const char *rights;
	/* as that user sees it: NULL if not known */
	const char *name;
	bool subscribed;
};
ARRAY_DEFINE_TYPE(recall_shares_entry, struct recall_shares_entry);

struct recall_shares_command {
	const char *tenant;
	struct recall_rows *rows;
};

static struct recall_rows *
shares_init_rows(const struct doveadm_cmd_context *cctx)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_DIRECTION,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_OWNER },
		{ .name = RECALL_COLUMN_MAILBOX },
		{ .name = RECALL_COLUMN_USER },
		{ .name = RECALL_COLUMN_RIGHTS },
		{ .name = RECALL_COLUMN_SUBSCRIBED,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_NAME,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_STATUS,
		  .flags = RECALL_COLUMN_FLAG_WIDE },
		{ .name = RECALL_COLUMN_ERROR },
	};

	return recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				N_ELEMENTS(columns));
}

static void
shares_print(struct recall_rows *rows, const char *direction,
	     const char *owner, const char *mailbox, const char *user,
	     const char *rights, const char *subscribed, const char *name)
{
	recall_rows_add(rows, direction);
	recall_rows_add(rows, owner);
	recall_rows_add(rows, mailbox);
	recall_rows_add(rows, user);
	recall_rows_add(rows, rights);
	recall_rows_add(rows, subscribed);
	recall_rows_add(rows, name);
	recall_rows_add(rows, recall_share_status_name(RECALL_SHARE_SHARED));
	recall_rows_add(rows, NULL);
}

/* A row in the place of what can't be listed. */
static void
shares_print_error(struct recall_shares_command *cmd, const char *direction,
		   const char *username, const char *error,
		   enum recall_share_status status)
{
	recall_rows_set_exit_code(cmd->rows,
				  recall_share_status_exit_code(status));
	recall_rows_add_known(cmd->rows, RECALL_COLUMN_DIRECTION, direction,
		strcmp(direction, "in") == 0 ? RECALL_COLUMN_USER :
		RECALL_COLUMN_OWNER, username,
		RECALL_COLUMN_STATUS, recall_share_status_name(status),
		RECALL_COLUMN_ERROR, error, NULL);
}

static int
shares_get_box_entries(struct mail_namespace *ns, const char *vname,
		       pool_t pool, ARRAY_TYPE(recall_shares_entry) *entries)
{
	struct recall_shares_entry *entry;
	struct acl_object *aclobj;
	struct acl_object_list_iter *iter;
	struct acl_rights rights;
	const char *name = mailbox_list_get_storage_name(ns->list, vname);
	int ret;

	aclobj = acl_object_init_from_name(
		acl_mailbox_list_get_backend(ns->list), name);
	iter = acl_object_list_init(aclobj);
	while (acl_object_list_next(iter, &rights)) {
		if (rights.global || rights.id_type == ACL_ID_OWNER ||
		    (rights.id_type == ACL_ID_USER &&
		     strcmp(rights.identifier, ns->user->username) == 0))
			continue;
		entry = array_append_space(entries);
		entry->mailbox = p_strdup(pool, vname);
		entry->storage_name = p_strdup(pool, name);
		if (rights.id_type == ACL_ID_USER)
			entry->username = p_strdup(pool, rights.identifier);
		entry->id = entry->username != NULL ? entry->username :
			p_strdup(pool, acl_rights_get_id(&rights));
		entry->rights = p_strdup(pool, recall_acl_rights_to_text(
			rights.rights, rights.neg_rights));
	}
	ret = acl_object_list_deinit(&iter);
	acl_object_deinit(&aclobj);
	return ret < 0 ? -1 : 0;
}

static int
shares_get_ns_entries(struct mail_namespace *ns, pool_t pool,
		      ARRAY_TYPE(recall_shares_entry) *entries)
{
	const char *inbox = mailbox_list_get_vname(ns->list, "INBOX");
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	bool have_inbox = FALSE;
	struct stat st;
	const char *error;
	int ret = 0;

	if (recall_list_check_readable(ns->list, &error) < 0) {
		e_error(ns->user->event, "recall shares: %s", error);
		return -1;
	}
	/* what the user may see is of no matter */
	iter = mailbox_list_iter_init(ns->list, "*",
		MAILBOX_LIST_ITER_RAW_LIST | MAILBOX_LIST_ITER_RETURN_NO_FLAGS);
	while ((info = mailbox_list_iter_next(iter)) != NULL) T_BEGIN {
		if (strcmp(info->vname, inbox) == 0)
			have_inbox = TRUE;
		if (recall_list_check_mailbox(ns->list,
				mailbox_list_get_storage_name(ns->list,
							      info->vname),
				&st, &error) < 0) {
			e_error(ns->user->event, "recall shares: %s", error);
			ret = -1;
		}
		if (shares_get_box_entries(ns, info->vname, pool, entries) < 0)
			ret = -1;
	} T_END;
	if (mailbox_list_iter_deinit(&iter) < 0)
		ret = -1;
	/* not every format lists it: see recall-boxes.c */
	if (!have_inbox && ns->prefix_len > 0 &&
	    shares_get_box_entries(ns, inbox, pool, entries) < 0)
		ret = -1;
	return ret;
}

static int
shares_get_entries(struct mail_user *user, pool_t pool,
		   ARRAY_TYPE(recall_shares_entry) *entries)
{
	struct mail_namespace *ns;
	int ret = 0;

	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (!recall_share_ns_is_own(ns) ||
		    recall_acl_get_obstacle(ns) != NULL)
			continue;
		if (shares_get_ns_entries(ns, pool, entries) < 0)
			ret = -1;
	}
	return ret;
}

static int entry_cmp_username(const struct recall_shares_entry *e1,
			      const struct recall_shares_entry *e2)
{
	int ret;

	/* those that are nobody's go last */
	if (e1->username == NULL || e2->username == NULL) {
		ret = (e1->username == NULL ? 1 : 0) -
			(e2->username == NULL ? 1 : 0);
	} else {
		ret = strcmp(e1->username, e2->username);
	}
	if (ret == 0)
		ret = strcmp(e1->mailbox, e2->mailbox);
	return ret != 0 ? ret : strcmp(e1->id, e2->id);
}

/* Looks with the other user's eyes at what is shared with that user. */
static void
shares_look_up_names(struct mail_user *user, struct mail_user *other,
		     pool_t pool, struct recall_shares_entry *entries,
		     unsigned int count)
{
	struct mailbox *box;
	const char *error;
	unsigned int i;

	for (i = 0; i < count; i++) T_BEGIN {
		if (recall_share_find_box(other, user->username,
					  entries[i].storage_name,
					  &box, &error) > 0) {
			entries[i].name =
				p_strdup(pool, mailbox_get_vname(box));
			entries[i].subscribed =
				recall_share_is_subscribed(box) > 0;
			mailbox_free(&box);
		}
	} T_END;
}

static void
shares_print_out(struct recall_shares_command *cmd, struct mail_user *user,
		 pool_t pool)
{
	ARRAY_TYPE(recall_shares_entry) entries_arr;
	struct recall_shares_entry *entries, *entry;
	struct mail_storage_service_user *service_user;
	struct mail_user *other;
	const char *error;
	unsigned int i, next, count;

	p_array_init(&entries_arr, pool, 16);
	if (shares_get_entries(user, pool, &entries_arr) < 0) {
		shares_print_error(cmd, "out", user->username,
			"Not all of the ACLs can be read: see the log",
			RECALL_SHARE_ERROR);
	}
	array_sort(&entries_arr, entry_cmp_username);
	entries = array_get_modifiable(&entries_arr, &count);
	for (i = 0; i < count && entries[i].username != NULL; i = next) {
		for (next = i + 1; next < count; next++) {
			if (null_strcmp(entries[i].username,
					entries[next].username) != 0)
				break;
		}
		/* ACLs outlive those whom they are for */
		if (recall_share_user_open(user, entries[i].username,
					   &service_user, &other, &error) <= 0)
			continue;
		shares_look_up_names(user, other, pool, entries + i, next - i);
		mail_user_deinit(&other);
		mail_storage_service_user_unref(&service_user);
	}
	array_foreach_modifiable(&entries_arr, entry) {
		shares_print(cmd->rows, "out", user->username, entry->mailbox,
			     entry->id, entry->rights,
			     entry->name == NULL ? NULL :
			     entry->subscribed ? "yes" : "no", entry->name);
	}
}

/* The owner's name of the mailbox, as far as it is known here. */
static const char *
shares_get_owner_name(struct mail_namespace *ns, const char *vname)
{
	const char *name = mailbox_list_get_storage_name(ns->list, vname);

	return strcmp(name, "INBOX") != 0 &&
		strncmp(vname, ns->prefix, ns->prefix_len) == 0 ?
		vname + ns->prefix_len : name;
}

static int
shares_print_in_box(struct recall_rows *rows, struct mail_namespace *ns,
		    const char *vname)
{
	struct acl_object *aclobj;
	struct mailbox *box;
	const char *const *rights;
	int subscribed;

	aclobj = acl_object_init_from_name(
		acl_mailbox_list_get_backend(ns->list),
		mailbox_list_get_storage_name(ns->list, vname));
	if (acl_object_get_my_rights(aclobj, pool_datastack_create(),
				     &rights) < 0) {
		acl_object_deinit(&aclobj);
		return -1;
	}
	box = mailbox_alloc(ns->list, vname, MAILBOX_FLAG_READONLY);
	subscribed = recall_share_is_subscribed(box);
	shares_print(rows, "in", ns->owner->username,
		     shares_get_owner_name(ns, vname), ns->user->username,
		     recall_acl_rights_to_text(rights, NULL),
		     subscribed < 0 ? NULL : subscribed > 0 ? "yes" : "no",
		     mailbox_get_vname(box));
	mailbox_free(&box);
	acl_object_deinit(&aclobj);
	return subscribed < 0 ? -1 : 0;
}

/* Where the INBOX is listed differs: as a mailbox of the namespace, or as the
   namespace itself. */
static int
shares_print_in_inbox(struct recall_rows *rows, struct mail_namespace *ns)
{
	const char *vname = mailbox_list_get_vname(ns->list, "INBOX");
	struct mailbox *box;
	int ret;

	box = mailbox_alloc(ns->list, vname, MAILBOX_FLAG_READONLY);
	ret = recall_share_is_visible(box);
	mailbox_free(&box);
	return ret <= 0 ? ret : shares_print_in_box(rows, ns, vname);
}

static int
shares_print_in_ns(struct recall_rows *rows, struct mail_namespace *ns)
{
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	int ret;

	ret = shares_print_in_inbox(rows, ns);
	iter = mailbox_list_iter_init(ns->list, "*", 0);
	while ((info = mailbox_list_iter_next(iter)) != NULL) T_BEGIN {
		if ((info->flags & (MAILBOX_NONEXISTENT |
				    MAILBOX_NOSELECT)) == 0 &&
		    strcmp(mailbox_list_get_storage_name(ns->list, info->vname),
			   "INBOX") != 0 &&
		    shares_print_in_box(rows, ns, info->vname) < 0)
			ret = -1;
	} T_END;
	if (mailbox_list_iter_deinit(&iter) < 0)
		ret = -1;
	return ret;
}

static void
shares_print_in(struct recall_shares_command *cmd, struct mail_user *user)
{
	ARRAY(struct mail_namespace *) namespaces;
	struct mailbox_list_iterate_context *iter;
	struct mail_namespace *ns;
	int ret = 0;

	t_array_init(&namespaces, 8);
	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (mail_namespace_is_shared_user_root(ns))
			array_push_back(&namespaces, &ns);
	}
	/* listing such a namespace makes those of the owners whom
	   acl_shared_dict names */
	array_foreach_elem(&namespaces, ns) {
		iter = mailbox_list_iter_init(ns->list, "*",
			MAILBOX_LIST_ITER_RETURN_NO_FLAGS);
		while (mailbox_list_iter_next(iter) != NULL) ;
		if (mailbox_list_iter_deinit(&iter) < 0)
			ret = -1;
	}
	array_clear(&namespaces);
	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (ns->type == MAIL_NAMESPACE_TYPE_SHARED &&
		    (ns->flags & NAMESPACE_FLAG_AUTOCREATED) != 0 &&
		    (ns->flags & NAMESPACE_FLAG_UNUSABLE) == 0 &&
		    ns->owner != NULL && ns->owner != user &&
		    recall_acl_get_obstacle(ns) == NULL)
			array_push_back(&namespaces, &ns);
	}
	array_foreach_elem(&namespaces, ns) {
		if (shares_print_in_ns(cmd->rows, ns) < 0)
			ret = -1;
	}
	if (ret < 0) {
		shares_print_error(cmd, "in", user->username,
			"Not all of the shared mailboxes can be listed: "
			"see the log", RECALL_SHARE_ERROR);
	}
}

static void
cmd_shares_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_shares_command *cmd = context;
	pool_t pool;

	if (!recall_tenant_matches(cmd->tenant, user)) {
		shares_print_error(cmd, "", username,
			"The user does not belong to the tenant",
			RECALL_SHARE_FORBIDDEN);
		return;
	}
	if (ACL_USER_CONTEXT(user) == NULL) {
		shares_print_error(cmd, "", username,
			"ACLs are not enabled for the user "
			"(setting acl in the plugin section)",
			RECALL_SHARE_NOT_POSSIBLE);
		return;
	}
	/* the other way round others would have been opened by then, and
	   their privileges would hold */
	shares_print_in(cmd, user);
	pool = pool_alloconly_create("recall shares", 2048);
	shares_print_out(cmd, user, pool);
	pool_unref(&pool);
}

static void
cmd_shares_unseen(void *context, const char *username,
		  enum recall_verdict verdict, const char *error)
{
	shares_print_error(context, "", username, error,
			   verdict == RECALL_VERDICT_NO_USER ?
			   RECALL_SHARE_NO_USER : RECALL_SHARE_ERROR);
}

static const struct recall_users_callbacks shares_callbacks = {
	.run = cmd_shares_run,
	.unseen = cmd_shares_unseen,
};

static void cmd_recall_shares(struct doveadm_cmd_context *cctx)
{
	struct recall_shares_command cmd;

	i_zero(&cmd);
	if (recall_cmd_params_check(cctx) < 0)
		return;
	if (doveadm_cmd_param_str(cctx, RECALL_PARAM_TENANT, &cmd.tenant) &&
	    *cmd.tenant == '\0') {
		recall_cmd_error(cctx, EX_USAGE,
				 "--"RECALL_PARAM_TENANT" is empty");
		return;
	}
	cmd.rows = shares_init_rows(cctx);
	(void)recall_users_run(cctx, cmd.rows, &shares_callbacks, &cmd);
	recall_rows_deinit(&cmd.rows);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_shares = {
	.name = RECALL_CMD_SHARES,
	.cmd = cmd_recall_shares,
	.usage = RECALL_CMD_USERS_USAGE" [--tenant <tenant>]",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
DOVEADM_CMD_PARAM('t', RECALL_PARAM_TENANT, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
