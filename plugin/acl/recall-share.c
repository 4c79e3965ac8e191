#include "lib.h"
#include "array.h"
#include "str.h"
#include "var-expand.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-service.h"
#include "mailbox-list-private.h"
#include "mailbox-list-iter-private.h"
#include "acl-api.h"
#include "acl-storage.h"
#include "recall-tenant.h"
#include "recall-users.h"
#include "recall-share.h"

static const char *const share_status_names[RECALL_SHARE_STATUS_COUNT] = {
	"shared", "unshared", "not_shared", "no_user", "no_mailbox",
	"forbidden", "not_possible", "error",
};

const char *recall_share_status_name(enum recall_share_status status)
{
	i_assert(status < RECALL_SHARE_STATUS_COUNT);
	return share_status_names[status];
}

bool recall_share_ns_is_own(const struct mail_namespace *ns)
{
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		ns->owner == ns->user && ns->alias_for == NULL;
}

static int
share_service_user_open(struct mail_storage_service_user *service_user,
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
		mail_storage_service_user_get_service_ctx(user->_service_user);
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
	if (share_service_user_open(*service_user_r, user_r, error_r) < 0) {
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
	const char *domain = strchr(owner, '@');
	const struct var_expand_table table[] = {
		{ 'u', owner, "user" },
		{ 'n', t_strcut(owner, '@'), "username" },
		{ 'd', domain == NULL ? "" : domain + 1, "domain" },
		{ '\0', NULL, NULL }
	};
	string_t *prefix = t_str_new(128);
	struct mailbox *box;
	const char *error;
	int ret;

	/* root->prefix has been cut before the first variable */
	if (var_expand(prefix, root->set->prefix, table, &error) <= 0) {
		*error_r = t_strdup_printf("Prefix %s: %s", root->set->prefix,
					   error);
		return -1;
	}
	if (str_len(prefix) > 0 &&
	    str_data(prefix)[str_len(prefix)-1] != mail_namespace_get_sep(root))
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

static enum recall_share_status
share_look_at_owner(struct recall_share *share, struct mail_user *owner,
		    const char *mailbox)
{
	struct mail_namespace *ns =
		mail_namespace_find_unalias(owner->namespaces, &mailbox);
	enum recall_share_status status = RECALL_SHARE_SHARED;
	struct mailbox *box;
	enum mail_error error_code;
	const char *error;
	int ret;

	if (!recall_share_ns_is_own(ns)) {
		share->error = p_strdup_printf(share->pool,
			"Mailbox %s is not %s's own", mailbox, owner->username);
		return RECALL_SHARE_NOT_POSSIBLE;
	}
	share->error = p_strdup(share->pool, recall_acl_get_obstacle(ns));
	if (share->error != NULL)
		return RECALL_SHARE_NOT_POSSIBLE;

	box = mailbox_alloc(ns->list, mailbox, MAILBOX_FLAG_READONLY |
			    MAILBOX_FLAG_IGNORE_ACLS);
	if (mailbox_open(box) < 0) {
		error = mailbox_get_last_internal_error(box, &error_code);
		share->error = p_strdup_printf(share->pool,
			"Mailbox %s can't be opened: %s", mailbox, error);
		switch (error_code) {
		case MAIL_ERROR_NOTFOUND:
			status = RECALL_SHARE_NO_MAILBOX;
			break;
		case MAIL_ERROR_PARAMS:
		case MAIL_ERROR_NOTPOSSIBLE:
			status = RECALL_SHARE_NOT_POSSIBLE;
			break;
		default:
			status = RECALL_SHARE_ERROR;
		}
		mailbox_free(&box);
		return status;
	}
	share->mailbox = p_strdup(share->pool, mailbox_get_vname(box));
	share->storage_name = p_strdup(share->pool, mailbox_get_name(box));
	ret = recall_acl_get(box, share->other, share->pool, &share->entry);
	if (ret < 0) {
		share->error = p_strdup_printf(share->pool,
			"The ACL of mailbox %s can't be read", mailbox);
		status = RECALL_SHARE_ERROR;
	}
	share->has_entry = ret > 0;
	mailbox_free(&box);
	return status;
}

/* Looks at the mailbox with the other user's eyes. */
static enum recall_share_status
share_look_at_other(struct recall_share *share, struct mail_user *other,
		    bool must_see)
{
	struct mailbox *box;
	const char *error;
	int ret;

	ret = recall_share_find_box(other, share->owner, share->storage_name,
				    &box, &error);
	if (ret <= 0) {
		if (ret == 0 && !must_see)
			return RECALL_SHARE_SHARED;
		share->error = p_strdup(share->pool, error);
		return ret < 0 ? RECALL_SHARE_ERROR : RECALL_SHARE_NOT_POSSIBLE;
	}
	share->name = p_strdup(share->pool, mailbox_get_vname(box));
	ret = recall_share_is_subscribed(box);
	if (ret < 0) {
		share->error = p_strdup_printf(share->pool,
			"The subscriptions of %s can't be read: %s",
			share->other,
			mailbox_get_last_internal_error(box, NULL));
	}
	share->subscribed = ret > 0;
	mailbox_free(&box);
	return ret < 0 ? RECALL_SHARE_ERROR : RECALL_SHARE_SHARED;
}

static enum recall_share_status
share_check_tenant(struct recall_share *share, struct mail_user *user,
		   const char *tenant)
{
	if (recall_tenant_matches(tenant, user))
		return RECALL_SHARE_SHARED;
	share->error = p_strdup_printf(share->pool,
		"User %s does not belong to the tenant", user->username);
	return RECALL_SHARE_FORBIDDEN;
}

bool recall_share_init(struct recall_share *share_r, pool_t pool,
		       struct mail_user *owner, const char *mailbox,
		       const char *other_name, const char *tenant,
		       bool must_exist, enum recall_share_status *status_r)
{
	struct recall_share *share = share_r;
	struct mail_user *other = NULL, *owner_again;
	const char *error;
	int ret;

	i_zero(share);
	share->pool = pool;
	share->mailbox = mailbox;
	share->other = other_name;
	share->owner = p_strdup(pool, owner->username);
	share->owner_service_user = owner->_service_user;
	mail_storage_service_user_ref(share->owner_service_user);

	*status_r = share_check_tenant(share, owner, tenant);
	if (*status_r != RECALL_SHARE_SHARED)
		return FALSE;

	/* the other user first: the ACL has the name that the userdb gives */
	ret = recall_share_user_open(owner, other_name,
				     &share->other_service_user, &other,
				     &error);
	if (ret <= 0 && (ret < 0 || must_exist)) {
		share->error = p_strdup(pool, error);
		*status_r = ret < 0 ? RECALL_SHARE_ERROR : RECALL_SHARE_NO_USER;
		return FALSE;
	}
	if (ret > 0) {
		share->other = p_strdup(pool, other->username);
		*status_r = share_check_tenant(share, other, tenant);
	}
	if (*status_r == RECALL_SHARE_SHARED &&
	    strcmp(share->owner, share->other) == 0) {
		share->error = "The owner and the other user are the same";
		*status_r = RECALL_SHARE_NOT_POSSIBLE;
	}
	if (other != NULL)
		mail_user_deinit(&other);
	if (*status_r != RECALL_SHARE_SHARED)
		return FALSE;

	if (share_service_user_open(share->owner_service_user, &owner_again,
				    &error) < 0) {
		share->error = p_strdup(pool, error);
		*status_r = RECALL_SHARE_ERROR;
		return FALSE;
	}
	*status_r = share_look_at_owner(share, owner_again, mailbox);
	mail_user_deinit(&owner_again);
	if (*status_r != RECALL_SHARE_SHARED ||
	    share->other_service_user == NULL)
		return *status_r == RECALL_SHARE_SHARED;

	if (share_service_user_open(share->other_service_user, &other,
				    &error) < 0) {
		share->error = p_strdup(pool, error);
		*status_r = RECALL_SHARE_ERROR;
		return FALSE;
	}
	*status_r = share_look_at_other(share, other, must_exist);
	mail_user_deinit(&other);
	return *status_r == RECALL_SHARE_SHARED;
}

void recall_share_deinit(struct recall_share *share)
{
	if (share->other_service_user != NULL)
		mail_storage_service_user_unref(&share->other_service_user);
	mail_storage_service_user_unref(&share->owner_service_user);
}

static int
share_set_acl(struct recall_share *share, const struct recall_acl_entry *entry,
	      const char **error_r)
{
	struct mail_user *owner;
	struct mail_namespace *ns;
	struct mailbox *box;
	int ret;

	if (share_service_user_open(share->owner_service_user, &owner,
				    error_r) < 0)
		return -1;
	ns = mail_namespace_find(owner->namespaces, share->mailbox);
	box = mailbox_alloc(ns->list, share->mailbox, MAILBOX_FLAG_READONLY |
			    MAILBOX_FLAG_IGNORE_ACLS);
	ret = mailbox_open(box);
	if (ret == 0)
		ret = recall_acl_set(box, share->other, entry);
	if (ret < 0) {
		*error_r = t_strdup_printf("Setting the ACL failed: %s",
			mailbox_get_last_internal_error(box, NULL));
	}
	mailbox_free(&box);
	if (ret == 0 && recall_acl_publish(owner) < 0 &&
	    !share->publish_failed) {
		/* what could not be written need not be undone, either */
		share->publish_failed = TRUE;
		*error_r = "Updating acl_shared_dict failed: see the log";
		ret = -1;
	}
	mail_user_deinit(&owner);
	return ret;
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

/* The rights have been given: are they what counts? */
static int share_check_visible(struct mailbox *box, const char **error_r)
{
	int ret = recall_share_is_visible(box);

	if (ret > 0)
		return 0;
	*error_r = ret == 0 ? "It does not show there" :
		mailbox_get_last_internal_error(box, NULL);
	return -1;
}

static int
share_set_subscribed(struct recall_share *share, bool subscribe, bool visible,
		     const char **error_r)
{
	struct mail_user *other;
	struct mailbox *box;
	const char *error;
	int ret;

	if (share_service_user_open(share->other_service_user, &other,
				    error_r) < 0)
		return -1;
	ret = recall_share_find_box(other, share->owner, share->storage_name,
				    &box, error_r);
	if (ret <= 0) {
		mail_user_deinit(&other);
		return -1;
	}
	ret = 0;
	if (visible && share_check_visible(box, &error) < 0) {
		*error_r = t_strdup_printf("%s can't get at %s: %s",
					   share->other, share->name, error);
		ret = -1;
	} else if (mailbox_set_subscribed(box, subscribe) < 0) {
		*error_r = t_strdup_printf("%s %s %s %s failed: %s",
			subscribe ? "Subscribing" : "Unsubscribing",
			share->other, subscribe ? "to" : "from", share->name,
			mailbox_get_last_internal_error(box, NULL));
		ret = -1;
	}
	mailbox_free(&box);
	mail_user_deinit(&other);
	return ret;
}

static enum recall_share_status
share_failed(struct recall_share *share, const char *error)
{
	share->error = p_strdup(share->pool, error);
	return RECALL_SHARE_ERROR;
}

static void share_undo_failed(struct recall_share *share, const char *error)
{
	share->error = p_strdup_printf(share->pool,
		"%s; undoing what was done failed, too: %s",
		share->error, error);
}

enum recall_share_status
recall_share_add(struct recall_share *share, const char *const *rights)
{
	const struct recall_acl_entry entry = { .rights = rights };
	bool visible = str_array_find(rights, MAIL_ACL_LOOKUP);
	const char *error;

	if (share_set_acl(share, &entry, &error) == 0 &&
	    share_set_subscribed(share, visible, visible, &error) == 0) {
		share->subscribed = visible;
		return RECALL_SHARE_SHARED;
	}
	(void)share_failed(share, error);
	if (share_set_acl(share, &share->entry, &error) < 0)
		share_undo_failed(share, error);
	return RECALL_SHARE_ERROR;
}

enum recall_share_status recall_share_remove(struct recall_share *share)
{
	static const struct recall_acl_entry no_entry;
	const char *error;

	if (!share->has_entry) {
		share->error = p_strdup_printf(share->pool,
			"Mailbox %s is not shared with %s", share->mailbox,
			share->other);
		return RECALL_SHARE_NOT_SHARED;
	}
	/* the ACL last: as long as it is there this can be tried again */
	if (share->subscribed &&
	    share_set_subscribed(share, FALSE, FALSE, &error) < 0)
		return share_failed(share, error);
	if (share_set_acl(share, &no_entry, &error) == 0)
		return RECALL_SHARE_UNSHARED;

	(void)share_failed(share, error);
	if (share_set_acl(share, &share->entry, &error) < 0)
		share_undo_failed(share, error);
	if (share->subscribed &&
	    share_set_subscribed(share, TRUE, FALSE, &error) < 0)
		share_undo_failed(share, error);
	return RECALL_SHARE_ERROR;
}
