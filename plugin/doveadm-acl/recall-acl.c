#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "str.h"
#include "mail-storage-private.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "acl-api-private.h"
#include "acl-plugin.h"
#include "acl-lookup-dict.h"
#include "recall-rights.h"
#include "recall-acl.h"

const char *recall_acl_get_obstacle(const struct mail_namespace *ns)
{
	struct acl_mailbox_list *alist;

	if (ACL_USER_CONTEXT(ns->user) == NULL) {
		return t_strdup_printf("ACLs are not enabled for %s "
			"(setting acl in the plugin section)",
			ns->user->username);
	}
	alist = ACL_LIST_CONTEXT(ns->list);
	if (alist == NULL || alist->rights.backend == NULL ||
	    recall_acl_list_ignores_acls(alist)) {
		return t_strdup_printf("ACLs are ignored in the namespace %s%s",
			ns->prefix_len == 0 ? "without prefix" : ns->prefix,
			ns->prefix_len == 0 ? "" : " (acl_ignore_namespace)");
	}
	return NULL;
}

bool recall_acl_inbox_is_default(const struct mail_namespace *ns)
{
	const struct acl_mailbox_list *alist =
		ACL_LIST_CONTEXT_REQUIRE(ns->list);

	return recall_acl_list_defaults_from_inbox(alist);
}

int recall_acl_get(struct mailbox *box, const char *username, pool_t pool,
		   struct recall_acl_entry *entry_r)
{
	struct acl_object_list_iter *iter;
	struct acl_rights rights;
	int ret = 0;

	i_zero(entry_r);
	iter = acl_object_list_init(acl_mailbox_get_aclobj(box));
	while (acl_object_list_next(iter, &rights)) {
		if (rights.global || rights.id_type != ACL_ID_USER ||
		    strcmp(rights.identifier, username) != 0)
			continue;
		if (rights.rights != NULL) {
			entry_r->rights =
				p_strarray_dup(pool, rights.rights);
		}
		if (rights.neg_rights != NULL) {
			entry_r->neg_rights =
				p_strarray_dup(pool, rights.neg_rights);
		}
		ret = 1;
	}
	if (acl_object_list_deinit(&iter) < 0)
		return -1;
	return ret;
}

int recall_acl_set(struct mailbox *box, const char *username,
		   const struct recall_acl_entry *entry)
{
	struct mailbox_transaction_context *trans;
	struct acl_rights_update update;

	i_zero(&update);
	update.rights.id_type = ACL_ID_USER;
	update.rights.identifier = username;
	update.rights.rights = entry->rights;
	update.rights.neg_rights = entry->neg_rights;
	update.modify_mode = entry->rights == NULL ?
		ACL_MODIFY_MODE_CLEAR : ACL_MODIFY_MODE_REPLACE;
	update.neg_modify_mode = entry->neg_rights == NULL ?
		ACL_MODIFY_MODE_CLEAR : ACL_MODIFY_MODE_REPLACE;

	trans = mailbox_transaction_begin(box,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL, __func__);
	if (acl_mailbox_update_acl(trans, &update) < 0) {
		mailbox_transaction_rollback(&trans);
		return -1;
	}
	return mailbox_transaction_commit(&trans);
}

int recall_acl_publish(struct mail_user *user)
{
	struct acl_user *auser = ACL_USER_CONTEXT_REQUIRE(user);

	return recall_acl_dict_rebuild(auser->acl_lookup_dict);
}

static void rights_append(string_t *text, const char *prefix,
			  const char *const *rights)
{
	unsigned int i;

	if (rights == NULL)
		return;
	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		if (str_array_find(rights, recall_rights_name(i))) {
			str_printfa(text, " %s%s", prefix,
				    recall_rights_name(i));
		}
	}
	/* ACLs may have rights of a site's own */
	for (; *rights != NULL; rights++) {
		if (recall_rights_find(*rights) < 0)
			str_printfa(text, " %s%s", prefix, *rights);
	}
}

const char *recall_acl_rights_to_text(const char *const *rights,
				      const char *const *neg_rights)
{
	string_t *text = t_str_new(128);

	rights_append(text, "", rights);
	rights_append(text, "-", neg_rights);
	return str_len(text) == 0 ? "" : str_c(text) + 1;
}
