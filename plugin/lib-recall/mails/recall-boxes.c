#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-iter.h"
#include "recall-settings.h"
#include "recall-quarantine-settings.h"
#include "recall-find.h"
#include "recall-index.h"
#include "recall-looked.h"
#include "recall-boxes.h"

struct recall_boxes_iter {
	struct mail_namespace *ns;
	struct mailbox_list_iterate_context *iter;
	/* NULL if all mailboxes are wanted */
	const struct recall_message_id *message_id;
	struct recall_looked *looked;
	/* of the namespace */
	struct recall_index_lookup *lookup;
	struct mailbox_info inbox;
	bool inbox_done;
	char *error;
};

struct recall_boxes_iter *recall_boxes_iter_init(struct mail_user *user)
{
	struct recall_boxes_iter *iter;

	iter = i_new(struct recall_boxes_iter, 1);
	iter->ns = user->namespaces;
	return iter;
}

struct recall_boxes_iter *
recall_boxes_iter_init_for(struct mail_user *user,
			   const struct recall_criteria *criteria,
			   struct recall_looked *looked)
{
	struct recall_boxes_iter *iter = recall_boxes_iter_init(user);

	if (!criteria->verify_headers)
		iter->message_id = criteria->message_id;
	iter->looked = looked;
	return iter;
}

static bool ns_is_wanted(struct mail_namespace *ns)
{
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		ns->alias_for == NULL && !recall_quarantine_is_namespace(ns);
}

static enum mailbox_list_iter_flags ns_get_flags(struct mail_namespace *ns)
{
	enum mailbox_list_iter_flags flags = MAILBOX_LIST_ITER_NO_AUTO_BOXES |
		MAILBOX_LIST_ITER_SKIP_ALIASES |
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS;

	/* the acl plugin would hide mailboxes that the owner may not look up */
	if (recall_settings_have_acl(ns))
		flags |= MAILBOX_LIST_ITER_RAW_LIST;
	return flags;
}

static bool ns_has_as_inbox(struct mail_namespace *ns, const char *vname)
{
	return strncmp(vname, ns->prefix, ns->prefix_len) == 0 &&
		strcmp(vname + ns->prefix_len, "INBOX") == 0;
}

static void boxes_iter_end_ns(struct recall_boxes_iter *iter)
{
	if (mailbox_list_iter_deinit(&iter->iter) < 0 && iter->error == NULL) {
		iter->error = i_strdup(mailbox_list_get_last_internal_error(
			iter->ns->list, NULL));
	}
	recall_index_lookup_deinit(&iter->lookup);
	iter->ns = iter->ns->next;
	iter->inbox_done = FALSE;
}

/* Dovecot lists the INBOX of a namespace that is not the user's INBOX as any
   other directory, so it leaves out one that has a path of its own: in a Maildir
   of 2.4 the root itself, and wherever mail_inbox_path (INBOX= in 2.3) leads. */
static const struct mailbox_info *
boxes_iter_get_inbox(struct recall_boxes_iter *iter)
{
	if (iter->inbox_done || iter->ns->prefix_len == 0 ||
	    (iter->ns->flags & NAMESPACE_FLAG_INBOX_USER) != 0)
		return NULL;
	iter->inbox_done = TRUE;
	iter->inbox.ns = iter->ns;
	iter->inbox.vname = mailbox_list_get_vname(iter->ns->list, "INBOX");
	return &iter->inbox;
}

/* A namespace at a time: where all are listed at once, those that clients are
   not shown (list=no) are left out, but the user can get at mail in there. */
static const struct mailbox_info *
boxes_iter_next_info(struct recall_boxes_iter *iter)
{
	const struct mailbox_info *info;

	while (iter->ns != NULL) {
		if (iter->iter == NULL && !ns_is_wanted(iter->ns)) {
			iter->ns = iter->ns->next;
			continue;
		}
		if (iter->iter == NULL) {
			iter->iter = mailbox_list_iter_init(iter->ns->list,
				"*", ns_get_flags(iter->ns));
			if (iter->message_id != NULL) {
				iter->lookup = recall_index_lookup_init(
					iter->ns->list, iter->message_id);
			}
		}
		info = mailbox_list_iter_next(iter->iter);
		if (info == NULL) {
			info = boxes_iter_get_inbox(iter);
		} else if (ns_has_as_inbox(iter->ns, info->vname)) {
			iter->inbox_done = TRUE;
		}
		if (info != NULL)
			return info;
		boxes_iter_end_ns(iter);
	}
	return NULL;
}

static bool boxes_iter_may_have(struct recall_boxes_iter *iter,
				const struct mailbox_info *info)
{
	time_t changed;
	bool ret;

	if (iter->lookup == NULL)
		return TRUE;
	T_BEGIN {
		ret = recall_index_lookup_may_have(iter->lookup,
			mailbox_list_get_storage_name(info->ns->list,
						      info->vname), &changed);
	} T_END;
	/* mail that is being moved needs a closer look */
	return ret || (iter->looked != NULL &&
		       !recall_looked_pass_over(iter->looked, info->vname,
						changed));
}

/* What was not listed may not be there. Opening it tells of errors. */
static bool boxes_iter_exists(struct recall_boxes_iter *iter,
			      const struct mailbox_info *info,
			      struct mailbox *box)
{
	enum mailbox_existence existence;

	return info != &iter->inbox ||
		mailbox_exists(box, FALSE, &existence) < 0 ||
		existence == MAILBOX_EXISTENCE_SELECT;
}

struct mailbox *recall_boxes_iter_next(struct recall_boxes_iter *iter)
{
	const struct mailbox_info *info;
	struct mailbox *box;

	while ((info = boxes_iter_next_info(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0 ||
		    !boxes_iter_may_have(iter, info))
			continue;
		box = mailbox_alloc(info->ns->list, info->vname,
				    MAILBOX_FLAG_IGNORE_ACLS);
		/* the mails in a virtual one are other mailboxes' */
		if (box->virtual_vfuncs == NULL &&
		    boxes_iter_exists(iter, info, box))
			return box;
		mailbox_free(&box);
	}
	return NULL;
}

int recall_boxes_iter_deinit(struct recall_boxes_iter **_iter,
			     const char **error_r)
{
	struct recall_boxes_iter *iter = *_iter;
	int ret = 0;

	*_iter = NULL;
	if (iter->iter != NULL)
		boxes_iter_end_ns(iter);
	if (iter->error != NULL) {
		*error_r = t_strdup_printf("Listing mailboxes failed: %s",
					   iter->error);
		ret = -1;
	}
	i_free(iter->error);
	i_free(iter);
	return ret;
}

bool recall_boxes_have(const ARRAY_TYPE(const_string) *places,
		       struct mailbox *box)
{
	const char *place;

	array_foreach_elem(places, place) {
		if (strcmp(mailbox_get_namespace(box)->prefix, place) == 0 ||
		    strcmp(mailbox_get_vname(box), place) == 0)
			return TRUE;
	}
	return FALSE;
}
