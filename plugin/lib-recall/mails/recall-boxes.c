#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "unichar.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "mailbox-list-iter.h"
#include "recall-settings.h"
#include "recall-quarantine-settings.h"
#include "recall-find.h"
#include "recall-index.h"
#include "recall-list-check.h"
#include "recall-list-hidden.h"
#include "recall-list-index.h"
#include "recall-query.h"
#include "recall-scan.h"
#include "recall-boxes.h"

#include <sys/stat.h>

/* Not likely to be a mailbox's. */
#define PROBE_NAME "recall-probe-of-a-path"

struct recall_boxes_iter {
	struct mail_namespace *ns;
	struct mailbox_list_iterate_context *iter;
	/* NULL if all mailboxes are wanted */
	const struct recall_message_id *message_id;
	/* NULL if it's not by one that is looked for */
	struct mail_search_args *query;
	struct recall_scan *scan;
	/* of the namespace, and the mailboxes' names if the index knows them
	   all: then there is no iter */
	ARRAY_TYPE(const_string) names;
	unsigned int name_idx;
	struct recall_index_lookup *lookup;
	/* the names that were listed, each with its NUL */
	buffer_t *listed;
	/* when one of the directories that were listed was last changed */
	time_t changed;
	/* INBOX has been among them */
	bool inbox_done;
	/* what comes now was not listed */
	bool unlisted;
	/* a directory of the namespace's mailboxes can't be read */
	bool unreadable;
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
			   struct recall_scan *scan)
{
	struct recall_boxes_iter *iter = recall_boxes_iter_init(user);

	if (!criteria->verify_headers)
		iter->message_id = criteria->message_id;
	if (criteria->message_id == NULL)
		iter->query = criteria->search_args;
	iter->scan = scan;
	return iter;
}

bool recall_boxes_are_in(struct mail_namespace *ns)
{
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		ns->alias_for == NULL && !recall_quarantine_is_namespace(ns);
}

/* Whether a name means the same directory in both. */
static bool ns_is_same_at(const struct mail_namespace *ns1,
			  const struct mail_namespace *ns2, const char *name)
{
	const char *path1, *path2;

	return mailbox_list_get_path(ns1->list, name,
				     MAILBOX_LIST_PATH_TYPE_MAILBOX,
				     &path1) > 0 &&
		mailbox_list_get_path(ns2->list, name,
				      MAILBOX_LIST_PATH_TYPE_MAILBOX,
				      &path2) > 0 &&
		strcmp(path1, path2) == 0;
}

/* Settings of all namespaces, as 2.4's are that stand outside of them, may have
   led to the INBOX of the user. */
static bool ns_has_users_inbox(const struct mail_namespace *ns)
{
	return ns_is_same_at(ns, mail_namespace_find_inbox(
				ns->user->namespaces), "INBOX");
}

/* A namespace of another name for what is in one that was looked at. 2.3 tells
   by alias_for; in 2.4 the one with the empty prefix can't be named there. */
static bool ns_is_another_name(const struct mail_namespace *ns)
{
	struct mail_namespace *other;

	for (other = ns->user->namespaces; other != ns; other = other->next) {
		if (recall_boxes_are_in(other) &&
		    strcmp(other->list->name, ns->list->name) == 0 &&
		    strcmp(other->storage->name, ns->storage->name) == 0 &&
		    ns_is_same_at(other, ns, "INBOX") &&
		    ns_is_same_at(other, ns, PROBE_NAME))
			return TRUE;
	}
	return FALSE;
}

static enum mailbox_list_iter_flags ns_get_flags(struct mail_namespace *ns)
{
	/* not MAILBOX_LIST_ITER_SKIP_ALIASES: it leaves out what is a symbolic
	   link to whatever is in the same directory. That may be none that is
	   listed. */
	enum mailbox_list_iter_flags flags = MAILBOX_LIST_ITER_NO_AUTO_BOXES |
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS;

	/* the acl plugin would hide mailboxes that the owner may not look up */
	if (recall_settings_have_acl(ns))
		flags |= MAILBOX_LIST_ITER_RAW_LIST;
	return flags;
}

static void
boxes_iter_set_unreadable(struct recall_boxes_iter *iter, const char *error)
{
	iter->unreadable = TRUE;
	if (iter->error == NULL)
		iter->error = i_strdup(error);
}

/* What is in a directory that the query is not about is not asked for. */
static bool
boxes_iter_is_wanted(struct recall_boxes_iter *iter, const char *name)
{
	return iter->query == NULL || recall_query_may_be_below(iter->query,
		mailbox_list_get_vname(iter->ns->list, name),
		mail_namespace_get_sep(iter->ns));
}

/* Dovecot reads a directory, and then looks at what was in it: a mailbox that
   is renamed between that is not listed at all. */
static void boxes_iter_see(struct recall_boxes_iter *iter, const char *name)
{
	struct stat st;
	const char *error;
	int ret;

	buffer_append(iter->listed, name, strlen(name) + 1);
	ret = recall_list_check_mailbox(iter->ns->list, name, &st, &error);
	if (ret < 0 && boxes_iter_is_wanted(iter, name))
		boxes_iter_set_unreadable(iter, error);
	else if (ret > 0)
		iter->changed = I_MAX(iter->changed, st.st_mtime);
}

/* What the query is not about is not asked for. */
static bool boxes_iter_is_box_wanted(const char *name, void *context)
{
	struct recall_boxes_iter *iter = context;
	const char *vname = mailbox_list_get_vname(iter->ns->list, name);

	return boxes_iter_is_wanted(iter, name) ||
		recall_query_may_be_in(iter->query, vname,
				       mail_namespace_get_sep(iter->ns));
}

/* Nor does it list all that is there. */
static void boxes_iter_check_hidden(struct recall_boxes_iter *iter)
{
	const char *error;

	if (recall_list_hidden_check(iter->ns->list, iter->listed,
				     boxes_iter_is_box_wanted, iter,
				     &error) < 0)
		boxes_iter_set_unreadable(iter, error);
}

static void boxes_iter_begin_list(struct recall_boxes_iter *iter)
{
	const char *error;

	T_BEGIN {
		if (recall_list_check_readable(iter->ns->list, &error) < 0)
			boxes_iter_set_unreadable(iter, error);
	} T_END;
	/* a namespace at a time: where all are listed at once, those that
	   clients are not shown (list=no) are left out, but the user can get at
	   mail in there */
	recall_list_index_forget(iter->ns->list);
	iter->listed = buffer_create_dynamic(default_pool, 1024);
	iter->iter = mailbox_list_iter_init(iter->ns->list, "*",
					    ns_get_flags(iter->ns));
}

static void boxes_iter_begin_lookup(struct recall_boxes_iter *iter)
{
	struct mailbox_list *list = iter->ns->list;

	iter->lookup = iter->scan == NULL ?
		recall_index_lookup_init(list, iter->message_id) :
		recall_scan_get_lookup(iter->scan, list, iter->message_id);
}

/* Goes to the next namespace that is wanted. Returns FALSE if there is none. */
static bool boxes_iter_begin_ns(struct recall_boxes_iter *iter)
{
	while (iter->ns != NULL && (!recall_boxes_are_in(iter->ns) ||
				    ns_is_another_name(iter->ns)))
		iter->ns = iter->ns->next;
	if (iter->ns == NULL)
		return FALSE;
	if (iter->scan != NULL)
		recall_scan_begin_ns(iter->scan, iter->ns);
	if (iter->message_id != NULL) {
		boxes_iter_begin_lookup(iter);
		i_array_init(&iter->names, 32);
		iter->name_idx = 0;
		if (recall_index_lookup_get_names(iter->lookup, &iter->names))
			return TRUE;
	}
	boxes_iter_begin_list(iter);
	return TRUE;
}

/* All mailboxes of the namespace were. */
static void boxes_iter_listed(struct recall_boxes_iter *iter)
{
	const char *root;
	struct stat st;

	if (iter->scan != NULL) {
		if (mailbox_list_get_root_path(iter->ns->list,
				MAILBOX_LIST_PATH_TYPE_MAILBOX, &root) &&
		    stat(root, &st) == 0)
			iter->changed = I_MAX(iter->changed, st.st_mtime);
		recall_scan_listed(iter->scan, iter->changed);
	}
	if (iter->lookup != NULL)
		recall_index_lookup_names_added(iter->lookup);
}

static void boxes_iter_end_ns(struct recall_boxes_iter *iter, bool all)
{
	if (iter->iter != NULL && all) T_BEGIN {
		boxes_iter_check_hidden(iter);
	} T_END;
	if (iter->iter == NULL) {
		/* the index had them */
	} else if (mailbox_list_iter_deinit(&iter->iter) < 0) {
		if (iter->error == NULL) {
			iter->error = i_strdup(
				mailbox_list_get_last_internal_error(
					iter->ns->list, NULL));
		}
	} else if (all && !iter->unreadable) {
		boxes_iter_listed(iter);
	}
	/* a scan keeps its own */
	if (iter->scan == NULL)
		recall_index_lookup_deinit(&iter->lookup);
	iter->lookup = NULL;
	array_free(&iter->names);
	buffer_free(&iter->listed);
	iter->ns = iter->ns->next;
	iter->inbox_done = iter->unlisted = iter->unreadable = FALSE;
	iter->changed = 0;
}

/* Dovecot takes a directory that it may not look into for one without mail.
   Opening it tells of the error. */
static bool
boxes_iter_is_hidden(struct recall_boxes_iter *iter, const char *name)
{
	const char *path;
	struct stat st;

	return mailbox_list_get_path(iter->ns->list, name,
				     MAILBOX_LIST_PATH_TYPE_MAILBOX,
				     &path) > 0 &&
		stat(path, &st) < 0 && errno == EACCES;
}

static const char *boxes_iter_next_listed(struct recall_boxes_iter *iter)
{
	const struct mailbox_info *info;
	const char *name;
	bool selectable;

	if (iter->iter == NULL) {
		if (iter->name_idx == array_count(&iter->names))
			return NULL;
		return array_idx_elem(&iter->names, iter->name_idx++);
	}
	while ((info = mailbox_list_iter_next(iter->iter)) != NULL) {
		selectable = (info->flags & (MAILBOX_NOSELECT |
					     MAILBOX_NONEXISTENT)) == 0;
		name = mailbox_list_get_storage_name(iter->ns->list,
						     info->vname);
		selectable = selectable || boxes_iter_is_hidden(iter, name);
		if (iter->lookup != NULL) {
			recall_index_lookup_add_name(iter->lookup, name,
						     selectable);
		}
		boxes_iter_see(iter, name);
		if (selectable)
			return name;
	}
	return NULL;
}

/* The next name in the storage of the namespace's list, or NULL.

   Dovecot lists the INBOX of a namespace that is not the user's INBOX as any
   other directory, so it leaves out one that has a path of its own: in a
   Maildir of 2.4 the root itself, and wherever mail_inbox_path (INBOX= in 2.3)
   leads. */
static const char *boxes_iter_next_in_ns(struct recall_boxes_iter *iter)
{
	const char *name = boxes_iter_next_listed(iter);

	if (name != NULL) {
		if (strcmp(name, "INBOX") == 0)
			iter->inbox_done = TRUE;
		return name;
	}
	if (iter->inbox_done || iter->ns->prefix_len == 0 ||
	    (iter->ns->flags & NAMESPACE_FLAG_INBOX_USER) != 0 ||
	    ns_has_users_inbox(iter->ns))
		return NULL;
	iter->inbox_done = iter->unlisted = TRUE;
	return "INBOX";
}

static bool
boxes_iter_may_have(struct recall_boxes_iter *iter, const char *name)
{
	time_t changed;

	if (iter->lookup == NULL)
		return TRUE;
	if (recall_index_lookup_may_have(iter->lookup, name, &changed)) {
		return iter->scan == NULL ||
			!recall_scan_is_empty(iter->scan, iter->ns->list, name);
	}
	/* mail that is being moved needs a closer look */
	return iter->scan != NULL &&
		!recall_scan_pass_over(iter->scan, iter->ns->list, name,
				       changed);
}

/* What was not listed may not be there. Opening it reports errors. */
static bool
boxes_iter_exists(struct recall_boxes_iter *iter, struct mailbox *box)
{
	enum mailbox_existence existence;

	return !iter->unlisted ||
		mailbox_exists(box, FALSE, &existence) < 0 ||
		existence == MAILBOX_EXISTENCE_SELECT;
}

static struct mailbox *
boxes_iter_alloc(struct recall_boxes_iter *iter, const char *name)
{
	const char *vname = mailbox_list_get_vname(iter->ns->list, name);
	struct mailbox *box;

	if (!uni_utf8_str_is_valid(vname)) {
		/* Dovecot lists none, and panics over them: somebody else has
		   written this into the index */
		if (iter->error == NULL)
			iter->error = i_strdup("A name is not valid UTF-8");
		return NULL;
	}
	box = mailbox_alloc(iter->ns->list, vname, MAILBOX_FLAG_IGNORE_ACLS);
	/* the mails in a virtual one are other mailboxes' */
	if (box->virtual_vfuncs != NULL || !boxes_iter_exists(iter, box))
		mailbox_free(&box);
	return box;
}

struct mailbox *recall_boxes_iter_next(struct recall_boxes_iter *iter)
{
	struct mailbox *box = NULL;
	const char *name;
	bool more = TRUE;

	while (box == NULL && iter->ns != NULL) {
		if (iter->iter == NULL && iter->lookup == NULL &&
		    !boxes_iter_begin_ns(iter))
			break;
		T_BEGIN {
			name = boxes_iter_next_in_ns(iter);
			more = name != NULL;
			if (more && boxes_iter_may_have(iter, name))
				box = boxes_iter_alloc(iter, name);
		} T_END;
		if (!more)
			boxes_iter_end_ns(iter, TRUE);
	}
	return box;
}

int recall_boxes_iter_deinit(struct recall_boxes_iter **_iter,
			     const char **error_r)
{
	struct recall_boxes_iter *iter = *_iter;
	int ret = 0;

	*_iter = NULL;
	if (iter->iter != NULL || iter->lookup != NULL)
		boxes_iter_end_ns(iter, FALSE);
	if (iter->error != NULL) {
		*error_r = t_strdup_printf("Listing mailboxes failed: %s",
					   iter->error);
		ret = -1;
	}
	i_free(iter->error);
	i_free(iter);
	return ret;
}

const char *recall_boxes_get_gone_error(const char *vname)
{
	return t_strdup_printf("Mailbox %s is listed, but is not there when it "
			       "is opened", vname);
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
