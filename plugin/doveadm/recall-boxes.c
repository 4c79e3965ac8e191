#include "lib.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-iter.h"
#include "recall-boxes.h"

struct recall_boxes_iter {
	struct mail_user *user;
	struct mailbox_list_iterate_context *iter;
};

struct recall_boxes_iter *recall_boxes_iter_init(struct mail_user *user)
{
	static const char *const patterns[] = { "*", NULL };
	enum mailbox_list_iter_flags flags =
		MAILBOX_LIST_ITER_NO_AUTO_BOXES |
		MAILBOX_LIST_ITER_SKIP_ALIASES |
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS;
	struct recall_boxes_iter *iter;

	/* the acl plugin would hide mailboxes that the owner may not look up */
	if (mail_user_plugin_getenv(user, "acl") != NULL)
		flags |= MAILBOX_LIST_ITER_RAW_LIST;
	iter = i_new(struct recall_boxes_iter, 1);
	iter->user = user;
	iter->iter = mailbox_list_iter_init_namespaces(user->namespaces,
		patterns, MAIL_NAMESPACE_TYPE_PRIVATE, flags);
	return iter;
}

struct mailbox *recall_boxes_iter_next(struct recall_boxes_iter *iter)
{
	const struct mailbox_info *info;
	struct mailbox *box;

	while ((info = mailbox_list_iter_next(iter->iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0)
			continue;
		box = mailbox_alloc(info->ns->list, info->vname,
				    MAILBOX_FLAG_IGNORE_ACLS);
		if (box->virtual_vfuncs == NULL)
			return box;
		/* the mails in it are other mailboxes' */
		mailbox_free(&box);
	}
	return NULL;
}

int recall_boxes_iter_deinit(struct recall_boxes_iter **_iter,
			     const char **error_r)
{
	struct recall_boxes_iter *iter = *_iter;
	int ret;

	*_iter = NULL;
	ret = mailbox_list_iter_deinit(&iter->iter);
	if (ret < 0) {
		*error_r = t_strdup_printf("Listing mailboxes failed: %s",
			mailbox_list_get_last_internal_error(
				iter->user->namespaces->list, NULL));
	}
	i_free(iter);
	return ret;
}
