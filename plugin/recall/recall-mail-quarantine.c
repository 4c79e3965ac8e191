#include "lib.h"
#include "module-context.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "recall-quarantine-settings.h"
#include "recall-mail-quarantine.h"

#define QUARANTINE_LIST_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, recall_quarantine_list_module)
#define QUARANTINE_BOX_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, recall_quarantine_box_module)

struct quarantine_list {
	union mailbox_list_module_context module_ctx;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_quarantine_list_module,
				  &mailbox_list_module_register);

static MODULE_CONTEXT_DEFINE_INIT(recall_quarantine_box_module,
				  &mail_storage_module_register);

static bool user_is_kept_out(const struct mail_user *user)
{
	return strcmp(user->service, "doveadm") != 0;
}

static bool namespace_is_closed(struct mail_namespace *ns)
{
	return recall_quarantine_is_namespace(ns) && user_is_kept_out(ns->user);
}

/* Whoever looks at mailboxes for the storage's sake (a rebuild of mdbox, which
   throws away what no mailbox has) asks for the raw list and opens mailboxes
   whatever their ACLs; nobody who acts for a client does. */
static const struct mailbox_info *
quarantine_list_iter_next(struct mailbox_list_iterate_context *ctx)
{
	struct quarantine_list *qlist =
		QUARANTINE_LIST_CONTEXT_REQUIRE(ctx->list);

	if ((ctx->flags & MAILBOX_LIST_ITER_RAW_LIST) == 0)
		return NULL;
	return qlist->module_ctx.super.iter_next(ctx);
}

/* IMAP's NOTIFY would tell of mailboxes that are made and deleted. */
static int
quarantine_list_notify_next(struct mailbox_list_notify *notify,
			    const struct mailbox_list_notify_rec **rec_r)
{
	struct quarantine_list *qlist =
		QUARANTINE_LIST_CONTEXT_REQUIRE(notify->list);
	int ret;

	do {
		ret = qlist->module_ctx.super.notify_next(notify, rec_r);
	} while (ret > 0);
	return ret;
}

void recall_mail_quarantine_list_created(struct mailbox_list *list)
{
	struct mailbox_list_vfuncs *v = list->vlast;
	struct quarantine_list *qlist;

	if (!namespace_is_closed(list->ns))
		return;
	qlist = p_new(list->pool, struct quarantine_list, 1);
	qlist->module_ctx.super = *v;
	list->vlast = &qlist->module_ctx.super;
	v->iter_next = quarantine_list_iter_next;
	v->notify_next = quarantine_list_notify_next;
	MODULE_CONTEXT_SET(list, recall_quarantine_list_module, qlist);
}

static void quarantine_set_error(struct mailbox *box)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_NOTFOUND,
			       T_MAIL_ERR_MAILBOX_NOT_FOUND(box->vname));
}

static int quarantine_exists(struct mailbox *box ATTR_UNUSED,
			     bool auto_boxes ATTR_UNUSED,
			     enum mailbox_existence *existence_r)
{
	*existence_r = MAILBOX_EXISTENCE_NONE;
	return 0;
}

/* A client's commands about ACLs ask for this, of a mailbox that is opened
   whatever its ACLs. They alone count in those that would be made. */
static int quarantine_exists_for_acl(struct mailbox *box, bool auto_boxes,
				     enum mailbox_existence *existence_r)
{
	union mailbox_module_context *qbox =
		QUARANTINE_BOX_CONTEXT_REQUIRE(box);

	if (!auto_boxes)
		return qbox->super.exists(box, auto_boxes, existence_r);
	return quarantine_exists(box, auto_boxes, existence_r);
}

static int quarantine_open(struct mailbox *box)
{
	quarantine_set_error(box);
	return -1;
}

static int quarantine_refuse(struct mailbox *box)
{
	mail_storage_set_error(box->storage, MAIL_ERROR_PERM,
			       MAIL_ERRSTR_NO_PERMISSION);
	return -1;
}

static int quarantine_create(struct mailbox *box,
			     const struct mailbox_update *update ATTR_UNUSED,
			     bool directory ATTR_UNUSED)
{
	return quarantine_refuse(box);
}

static int quarantine_delete(struct mailbox *box)
{
	return quarantine_open(box);
}

static int quarantine_rename(struct mailbox *src,
			     struct mailbox *dest ATTR_UNUSED)
{
	return quarantine_open(src);
}

/* Of a mailbox that is not in the quarantine. */
static int other_rename(struct mailbox *src, struct mailbox *dest)
{
	union mailbox_module_context *qbox =
		QUARANTINE_BOX_CONTEXT_REQUIRE(src);

	if (namespace_is_closed(dest->list->ns))
		return quarantine_refuse(src);
	return qbox->super.rename_box(src, dest);
}

static int quarantine_get_status(struct mailbox *box,
				 enum mailbox_status_items items ATTR_UNUSED,
				 struct mailbox_status *status_r ATTR_UNUSED)
{
	return quarantine_open(box);
}

void recall_mail_quarantine_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *qbox;

	if (!user_is_kept_out(box->list->ns->user))
		return;
	qbox = p_new(box->pool, union mailbox_module_context, 1);
	qbox->super = *v;
	box->vlast = &qbox->super;
	MODULE_CONTEXT_SET_SELF(box, recall_quarantine_box_module, qbox);

	if (!recall_quarantine_is_namespace(box->list->ns)) {
		v->rename_box = other_rename;
		return;
	}
	if ((box->flags & MAILBOX_FLAG_IGNORE_ACLS) != 0) {
		v->exists = quarantine_exists_for_acl;
		return;
	}
	v->exists = quarantine_exists;
	v->open = quarantine_open;
	v->create_box = quarantine_create;
	v->delete_box = quarantine_delete;
	v->rename_box = quarantine_rename;
	v->get_status = quarantine_get_status;
}
