#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "str.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-service.h"
#include "mailbox-list-private.h"
#include "mailbox-list-iter-private.h"
#include "acl-storage.h"
#include "doveadm-recall-users.h"
#include "recall-acl.h"
#include "recall-share-prefix.h"
#include "recall-share-view.h"

bool recall_share_ns_is_own(const struct mail_namespace *ns)
{
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		ns->owner == ns->user && ns->alias_for == NULL;
}

int recall_share_user_reopen(struct mail_storage_service_user *service_user,
			     struct mail_user **user_r, const char **error_r)
{
	struct mail_storage_service_ctx *service =
		mail_storage_service_user_get_service_ctx(service_user);
	const char *error;

	/* this also takes on the user's privileges */
	if (mail_storage_service_next(service, service_user, user_r,
				      &error) < 0) {
		*error_r = t_strdup_printf("User initialization failed: %s",
					   error);
		return -1;
	}
	return 0;
}

int recall_share_user_open(struct mail_user *user, const char *username,
			   struct mail_storage_service_user **service_user_r,
			   struct mail_user **user_r, const char **error_r)
{
	struct mail_storage_service_ctx *service =
		mail_storage_service_user_get_service_ctx(
			recall_user_get_service_user(user));
	struct mail_storage_service_input input;
	const char *error;
	int ret;

	*error_r = recall_username_get_error(username);
	if (*error_r != NULL)
		return 0;

	i_zero(&input);
	input.service = "doveadm";
	input.username = username;
	ret = mail_storage_service_lookup(service, &input, service_user_r,
					  &error);
	if (ret == 0) {
		*error_r = t_strdup_printf("There is no user %s", username);
		return 0;
	}
	if (ret < 0) {
		*error_r = t_strdup_printf("Lookup of user %s failed: %s",
					   username, error);
		return -1;
	}
	if (recall_share_user_reopen(*service_user_r, user_r, error_r) < 0) {
		mail_storage_service_user_unref(service_user_r);
		return -1;
	}
	return 1;
}

/* The namespace of one owner within the user's shared ones, made by Dovecot as
   soon as a name in it is asked for. Returns like recall_share_find_box(). */
static int
share_get_owner_ns(struct mail_namespace *root, const char *owner,
		   struct mail_namespace **ns_r, const char **error_r)
{
	string_t *prefix = t_str_new(128);
	struct mailbox *box;
	const char *error;
	int ret;

	/* root->prefix has been cut before the first variable */
	if (recall_share_prefix_expand(prefix, root->set->prefix, owner,
				       &error) < 0) {
		*error_r = t_strdup_printf("Prefix %s: %s", root->set->prefix,
					   error);
		return -1;
	}
	if (str_len(prefix) > 0 &&
	    str_c(prefix)[str_len(prefix)-1] != mail_namespace_get_sep(root))
		str_append_c(prefix, mail_namespace_get_sep(root));
	str_append(prefix, "INBOX");

	box = mailbox_alloc(root->list, str_c(prefix), MAILBOX_FLAG_READONLY);
	*ns_r = box->list->ns;
	if (box->open_error != 0) {
		*error_r = t_strdup_printf("Namespace %s: %s",
			root->set->prefix,
			mailbox_get_last_internal_error(box, NULL));
		ret = -1;
	} else if (*ns_r == root || (*ns_r)->owner == NULL ||
		   strcmp((*ns_r)->owner->username, owner) != 0) {
		/* e.g. there is no domain in the prefix, but owner and user
		   have different ones */
		*error_r = t_strdup_printf(
			"The shared namespace %s does not lead to %s",
			root->set->prefix, owner);
		ret = 0;
	} else if (((*ns_r)->flags & NAMESPACE_FLAG_UNUSABLE) != 0) {
		*error_r = t_strdup_printf(
			"There is no mail of %s where the shared namespace %s "
			"leads to", owner, root->set->prefix);
		ret = 0;
	} else {
		ret = 1;
	}
	mailbox_free(&box);
	return ret;
}

int recall_share_find_box(struct mail_user *user, const char *owner,
			  const char *storage_name, struct mailbox **box_r,
			  const char **error_r)
{
	ARRAY(struct mail_namespace *) roots;
	struct mail_namespace *ns, *owner_ns;
	const char *vname, *obstacle;
	int ret;

	*error_r = t_strdup_printf("%s has no namespace for mailboxes that "
		"others share (type=shared, a prefix with %%%%u or %%%%n)",
		user->username);
	/* looking into them adds namespaces to the list */
	t_array_init(&roots, 4);
	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (mail_namespace_is_shared_user_root(ns))
			array_push_back(&roots, &ns);
	}
	array_foreach_elem(&roots, ns) {
		ret = share_get_owner_ns(ns, owner, &owner_ns, error_r);
		if (ret < 0)
			return -1;
		if (ret == 0)
			continue;
		obstacle = recall_acl_get_obstacle(owner_ns);
		if (obstacle != NULL) {
			*error_r = obstacle;
			continue;
		}
		vname = mailbox_list_get_vname(owner_ns->list, storage_name);
		*box_r = mailbox_alloc(owner_ns->list, vname,
				       MAILBOX_FLAG_READONLY);
		return 1;
	}
	return 0;
}

int recall_share_is_subscribed(struct mailbox *box)
{
	if (mailbox_list_iter_subscriptions_refresh(box->list) < 0) {
		mail_storage_copy_list_error(box->storage, box->list);
		return -1;
	}
	return mailbox_is_subscribed(box) ? 1 : 0;
}

int recall_share_is_visible(struct mailbox *box)
{
	enum mailbox_existence existence;
	int ret;

	/* mailbox_exists() alone would also be content with other rights */
	ret = acl_mailbox_right_lookup(box, ACL_STORAGE_RIGHT_LOOKUP);
	if (ret <= 0)
		return ret;
	if (mailbox_exists(box, FALSE, &existence) < 0)
		return -1;
	return existence == MAILBOX_EXISTENCE_SELECT ? 1 : 0;
}
