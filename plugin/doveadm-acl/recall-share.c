#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-service.h"
#include "acl-api.h"
#include "recall-tenant.h"
#include "recall-share-view.h"
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

/* Nobody who shares one mailbox asks for all. */
static enum recall_share_status
share_check_others(struct recall_share *share, const struct mailbox *box)
{
	if (strcmp(share->storage_name, "INBOX") != 0 ||
	    !recall_acl_inbox_is_default(mailbox_get_namespace(box)))
		return RECALL_SHARE_SHARED;
	share->error = p_strdup_printf(share->pool,
		"All mailboxes without an ACL of their own would be shared "
		"with %s, as they have that of %s (acl_defaults_from_inbox)",
		share->other, share->mailbox);
	return RECALL_SHARE_NOT_POSSIBLE;
}

static enum recall_share_status
share_look_at_owner(struct recall_share *share, struct mail_user *owner,
		    const char *mailbox, bool adding)
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
	} else if (adding) {
		status = share_check_others(share, box);
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
	share->owner_service_user = recall_user_get_service_user(owner);
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

	if (recall_share_user_reopen(share->owner_service_user, &owner_again,
				     &error) < 0) {
		share->error = p_strdup(pool, error);
		*status_r = RECALL_SHARE_ERROR;
		return FALSE;
	}
	*status_r = share_look_at_owner(share, owner_again, mailbox,
					must_exist);
	mail_user_deinit(&owner_again);
	if (*status_r != RECALL_SHARE_SHARED ||
	    share->other_service_user == NULL)
		return *status_r == RECALL_SHARE_SHARED;

	if (recall_share_user_reopen(share->other_service_user, &other,
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

	if (recall_share_user_reopen(share->owner_service_user, &owner,
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

	if (recall_share_user_reopen(share->other_service_user, &other,
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
