#include "lib.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "mailbox-list-iter.h"
#include "recall-had-mail.h"

static bool box_had_mail(const struct mailbox_info *info)
{
	struct mailbox_status status;
	struct mailbox *box;
	bool ret;

	box = mailbox_alloc(info->ns->list, info->vname,
			    MAILBOX_FLAG_IGNORE_ACLS);
	if (mailbox_get_status(box, STATUS_UIDNEXT, &status) == 0)
		ret = status.uidnext > 1;
	else
		ret = mailbox_get_last_mail_error(box) != MAIL_ERROR_NOTFOUND;
	mailbox_free(&box);
	return ret;
}

bool recall_had_mail(struct mail_user *user)
{
	static const char *const all[] = { "*", NULL };
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	bool ret = FALSE;

	iter = mailbox_list_iter_init_namespaces(user->namespaces, all,
				MAIL_NAMESPACE_TYPE_PRIVATE,
				MAILBOX_LIST_ITER_RETURN_NO_FLAGS);
	while (!ret && (info = mailbox_list_iter_next(iter)) != NULL) T_BEGIN {
		ret = box_had_mail(info);
	} T_END;
	return mailbox_list_iter_deinit(&iter) < 0 || ret;
}
