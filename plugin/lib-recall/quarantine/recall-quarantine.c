#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "file-lock.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "maildir-uidlist.h"
#include "mailbox-list-index.h"
#include "mailbox-list-iter.h"
#include "recall-dotlock.h"
#include "recall-id.h"
#include "recall-list-check.h"
#include "recall-list-hidden.h"
#include "recall-list-index.h"
#include "recall-lock.h"
#include "recall-lost-files.h"
#include "recall-mails.h"
#include "recall-quarantine-settings.h"
#include "recall-quarantine.h"
#include "recall-quarantine-kept.h"

#include <sys/stat.h>

#define QUARANTINE_LOCK_FNAME "dovecot-recall.lock"
#define QUARANTINE_LOCK_SECS 60

/* Nobody's ACL keeps us out, and what is deleted here is gone: lazy_expunge
   must not keep it once more. */
#define QUARANTINE_BOX_FLAGS \
	(MAILBOX_FLAG_IGNORE_ACLS | MAILBOX_FLAG_DELETE_UNSAFE)

#define GUID_HEX_LEN (GUID_128_SIZE * 2)

int recall_quarantine_init(struct mail_user *user,
			   struct recall_quarantine *q_r, const char **error_r)
{
	const char *prefix = recall_quarantine_get_prefix(user);

	i_zero(q_r);
	q_r->user = user;
	q_r->lock_secs = QUARANTINE_LOCK_SECS;
	if (prefix == NULL)
		return 0;
	q_r->ns = mail_namespace_find_prefix(user->namespaces, prefix);
	if (q_r->ns == NULL) {
		*error_r = t_strdup_printf("%s"
			": There is no namespace with the prefix %s",
			recall_quarantine_is_held(user) ?
			"recall_quarantine, recall_hold" : "recall_quarantine",
			prefix);
		return -1;
	}
	if (q_r->ns->type != MAIL_NAMESPACE_TYPE_PRIVATE ||
	    q_r->ns->alias_for != NULL ||
	    (q_r->ns->flags & NAMESPACE_FLAG_INBOX_USER) != 0) {
		*error_r = t_strdup_printf("recall_quarantine"
			": The namespace %s is not a private one of its own",
			prefix);
		return -1;
	}
	recall_list_index_set_silent(q_r->ns->list, TRUE);
	return 1;
}

static struct mailbox *
quarantine_box_alloc(struct recall_quarantine *q, const char *vname)
{
	struct mailbox *box;

	box = mailbox_alloc(q->ns->list, vname, QUARANTINE_BOX_FLAGS);
	/* lazy_expunge has looked; quota looks later, and would not count down
	   what is deleted */
	box->flags &= ENUM_NEGATE(MAILBOX_FLAG_DELETE_UNSAFE);
	return box;
}

/* Whoever was killed while it had the quarantine locked may have left others of
   Dovecot's locks behind, for which we would wait with all who wait for us. */
static void quarantine_delete_stale_locks(struct mailbox *box)
{
	const char *path;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_INDEX, &path) > 0) {
		recall_dotlock_delete_stale(t_strconcat(path,
			"/"MAIL_INDEX_PREFIX".log.newlock", NULL));
	}
	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_CONTROL,
				&path) > 0) {
		recall_dotlock_delete_stale(t_strconcat(path,
			"/"MAILDIR_UIDLIST_NAME".lock", NULL));
	}
}

void recall_quarantine_deinit(struct recall_quarantine *q)
{
	recall_quarantine_kept_deinit(&q->kept);
	recall_quarantine_unlock(q);
	if (q->ns != NULL)
		recall_list_index_set_silent(q->ns->list, FALSE);
}

void recall_quarantine_unlock(struct recall_quarantine *q)
{
	if (q->lock != NULL)
		file_lock_free(&q->lock);
}

/* What the name says; FALSE if it's none of ours. */
static bool
quarantine_parse_name(struct recall_quarantine *q, const char *vname,
		      struct recall_quarantine_box *qbox_r)
{
	const char *name, *rest;

	i_zero(qbox_r);
	if (!str_begins_with(vname, q->ns->prefix))
		return FALSE;
	name = vname + strlen(q->ns->prefix);
	rest = recall_id_skip(name);
	if (rest == NULL)
		return FALSE;
	qbox_r->vname = vname;
	qbox_r->recall_id = t_strdup_until(name, rest);
	return *rest == '\0' ||
		(*rest == mail_namespace_get_sep(q->ns) &&
		 strlen(rest + 1) == GUID_HEX_LEN &&
		 guid_128_from_string(rest + 1, qbox_r->guid) == 0);
}

int recall_quarantine_list(struct recall_quarantine *q, pool_t pool,
			   const char *recall_id,
			   ARRAY_TYPE(recall_quarantine_box) *boxes_r,
			   const char **error_r)
{
	enum mailbox_list_iter_flags flags =
		MAILBOX_LIST_ITER_RAW_LIST |
		MAILBOX_LIST_ITER_NO_AUTO_BOXES |
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS;
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct recall_quarantine_box qbox;
	const char *pattern;

	p_array_init(boxes_r, pool, 8);
	pattern = t_strdup_printf("%s%s*", q->ns->prefix,
				  recall_id == NULL ? "" : recall_id);
	iter = mailbox_list_iter_init(q->ns->list, pattern, flags);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if (!quarantine_parse_name(q, info->vname, &qbox))
			continue;
		qbox.vname = p_strdup(pool, qbox.vname);
		qbox.recall_id = p_strdup(pool, qbox.recall_id);
		qbox.nonexistent = (info->flags &
			(MAILBOX_NOSELECT | MAILBOX_NONEXISTENT)) != 0;
		array_push_back(boxes_r, &qbox);
	}
	if (mailbox_list_iter_deinit(&iter) < 0) {
		*error_r = t_strdup_printf("Listing the quarantine failed: %s",
			mailbox_list_get_last_internal_error(q->ns->list,
							     NULL));
		return -1;
	}
	return 0;
}

int recall_quarantine_check_listed(struct recall_quarantine *q,
				   const char **error_r)
{
	const char *error;

	if (recall_list_check_readable(q->ns->list, &error) < 0 ||
	    recall_list_hidden_check(q->ns->list, NULL, NULL, NULL,
				     &error) < 0) {
		*error_r = t_strdup_printf("Listing the quarantine failed: %s",
					   error);
		return -1;
	}
	return 0;
}

/* The mailbox list index's lock comes first, since listing waits for it. */
static int
quarantine_delete_all_stale_locks(struct recall_quarantine *q,
				  const char **error_r)
{
	struct mailbox_list_index *ilist = INDEX_LIST_CONTEXT(q->ns->list);
	ARRAY_TYPE(recall_quarantine_box) boxes;
	const struct recall_quarantine_box *qbox;
	struct mailbox *box;

	if (ilist != NULL) {
		recall_dotlock_delete_stale(t_strconcat(ilist->path,
			".log.newlock", NULL));
	}
	if (recall_quarantine_list(q, pool_datastack_create(), NULL, &boxes,
				   error_r) < 0)
		return -1;
	array_foreach(&boxes, qbox) T_BEGIN {
		box = quarantine_box_alloc(q, qbox->vname);
		quarantine_delete_stale_locks(box);
		mailbox_free(&box);
	} T_END;
	return 0;
}

/* Whoever unlocks deletes the file: if it is the same one still then its owner
   was killed. */
static bool
quarantine_is_same_file(const char *path, const struct stat *old)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == old->st_ino &&
		CMP_DEV_T(st.st_dev, old->st_dev) &&
		st.st_ctim.tv_sec == old->st_ctim.tv_sec &&
		st.st_ctim.tv_nsec == old->st_ctim.tv_nsec;
}

int recall_quarantine_lock(struct recall_quarantine *q, const char **error_r)
{
	const char *path, *error;
	struct stat st;
	bool existed;

	i_assert(q->lock == NULL);

	if (recall_lock_get_path(q->ns, QUARANTINE_LOCK_FNAME, &path,
				 &error) < 0) {
		*error_r = t_strdup_printf("Creating the quarantine failed: %s",
					   error);
		return -1;
	}
	existed = stat(path, &st) == 0;
	if (recall_lock_create(q->ns, path, q->lock_secs, &q->lock,
			       &error) < 0) {
		*error_r = t_strdup_printf("Locking the quarantine failed: %s",
					   error);
		return -1;
	}
	return existed && quarantine_is_same_file(path, &st) ?
		quarantine_delete_all_stale_locks(q, error_r) : 0;
}

static bool quarantine_has_root(struct recall_quarantine *q,
				enum mailbox_list_path_type type)
{
	const char *path;
	struct stat st;

	return !mailbox_list_get_root_path(q->ns->list, type, &path) ||
		stat(path, &st) == 0 || !ENOTFOUND(errno);
}

int recall_quarantine_lock_old(struct recall_quarantine *q,
			       const char **error_r)
{
	if (!quarantine_has_root(q, MAILBOX_LIST_PATH_TYPE_MAILBOX) &&
	    !quarantine_has_root(q, MAILBOX_LIST_PATH_TYPE_INDEX))
		return 0;
	return recall_quarantine_lock(q, error_r) < 0 ? -1 : 1;
}

static const char *
quarantine_get_vname(struct recall_quarantine *q, const char *recall_id,
		     const guid_128_t guid)
{
	char sep[2] = { mail_namespace_get_sep(q->ns), '\0' };

	return guid == NULL ?
		t_strconcat(q->ns->prefix, recall_id, NULL) :
		t_strconcat(q->ns->prefix, recall_id, sep,
			    guid_128_to_string(guid), NULL);
}

const char *recall_quarantine_box_get_vname(struct recall_quarantine *q,
					    pool_t pool, const char *recall_id,
					    const guid_128_t guid)
{
	return p_strdup(pool, quarantine_get_vname(q, recall_id, guid));
}

static int quarantine_try_open(struct mailbox *box)
{
	quarantine_delete_stale_locks(box);
	return mailbox_open(box);
}

/* Whoever was killed while deleting it may have left it with a mark that it is
   deleted: then nobody can open it, and so nobody can use or delete it. All
   that was in it has been expunged before. */
static int quarantine_undelete(struct recall_quarantine *q, const char *vname,
			       struct mailbox **box)
{
	(void)mailbox_mark_index_deleted(*box, FALSE);
	mailbox_free(box);
	*box = quarantine_box_alloc(q, vname);
	return quarantine_try_open(*box);
}

/* A mailbox that can't be opened has Dovecot look at all directories of the
   quarantine, of which there are more with each recall that is kept. */
static bool quarantine_box_is_absent(struct mailbox *box)
{
	static const enum mailbox_list_path_type types[] = {
		MAILBOX_LIST_PATH_TYPE_MAILBOX,
		MAILBOX_LIST_PATH_TYPE_ALT_MAILBOX,
		MAILBOX_LIST_PATH_TYPE_CONTROL,
		MAILBOX_LIST_PATH_TYPE_INDEX,
	};
	const char *path, *last = "";
	struct stat st;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(types); i++) {
		ret = mailbox_get_path_to(box, types[i], &path);
		if (ret < 0 || (ret == 0 && i == 0))
			return FALSE;
		if (ret == 0 || strcmp(path, last) == 0)
			continue;
		if (stat(path, &st) == 0 || errno != ENOENT)
			return FALSE;
		last = path;
	}
	return TRUE;
}

/* As mailbox_create(), which opens INBOX after that, and makes a cache file for
   what clients have read there. No client sees this one. */
static int quarantine_box_create(struct mailbox *box)
{
	int ret;

	if (mailbox_verify_create_name(box) < 0)
		return -1;
	if (mailbox_list_lock(box->list) < 0) {
		mail_storage_copy_list_error(box->storage, box->list);
		return -1;
	}
	box->creating = TRUE;
	T_BEGIN {
		ret = box->v.create_box(box, NULL, FALSE);
	} T_END;
	box->creating = FALSE;
	mailbox_list_unlock(box->list);
	if (ret == 0) {
		box->list->guid_cache_updated = TRUE;
	} else if (box->opened) {
		mail_storage_last_error_push(box->storage);
		mailbox_close(box);
		mail_storage_last_error_pop(box->storage);
	}
	return ret;
}

/* Returns 1 if it was there, 2 if it was made, 0 if it is missing, -1 on
   errors. */
static int quarantine_box_open(struct recall_quarantine *q, const char *vname,
			       bool create, struct mailbox **box)
{
	*box = quarantine_box_alloc(q, vname);
	if (quarantine_box_is_absent(*box)) {
		if (!create)
			return 0;
		if (quarantine_box_create(*box) == 0)
			return mailbox_open(*box) < 0 ? -1 : 2;
	} else {
		if (quarantine_try_open(*box) == 0 ||
		    (create && (*box)->mailbox_deleted &&
		     quarantine_undelete(q, vname, box) == 0))
			return 1;
		if (mailbox_get_last_mail_error(*box) != MAIL_ERROR_NOTFOUND)
			return -1;
		if (!create)
			return 0;
		if (quarantine_box_create(*box) == 0)
			return mailbox_open(*box) < 0 ? -1 : 1;
	}
	return mailbox_get_last_mail_error(*box) == MAIL_ERROR_EXISTS &&
		mailbox_open(*box) == 0 ? 1 : -1;
}

int recall_quarantine_box_open(struct recall_quarantine *q,
			       const char *recall_id, const guid_128_t guid,
			       bool create, struct mailbox **box_r,
			       const char **error_r)
{
	const char *vname = quarantine_get_vname(q, recall_id, guid);
	int ret;

	ret = quarantine_box_open(q, vname, create, box_r);
	/* how many copies there should be the records tell */
	if (ret == 1 && guid == NULL && !q->adding &&
	    recall_lost_files_check(*box_r) < 0)
		ret = -1;
	if (ret < 0) {
		*error_r = t_strdup_printf("Opening mailbox %s failed: %s",
			vname, mailbox_get_last_internal_error(*box_r, NULL));
	}
	if (ret <= 0)
		mailbox_free(box_r);
	return ret;
}

int recall_quarantine_box_delete(struct recall_quarantine *q,
				 const struct recall_quarantine_box *qbox,
				 const char **error_r)
{
	enum mailbox_existence existence;
	struct mailbox *box;
	int ret;

	box = quarantine_box_alloc(q, qbox->vname);
	if (quarantine_try_open(box) < 0 && box->mailbox_deleted)
		(void)quarantine_undelete(q, qbox->vname, &box);
	ret = mailbox_delete(box);
	if (ret < 0 &&
	    mailbox_get_last_mail_error(box) == MAIL_ERROR_NOTFOUND &&
	    mailbox_exists(box, FALSE, &existence) == 0 &&
	    existence != MAILBOX_EXISTENCE_SELECT)
		ret = 0;
	if (ret < 0) {
		*error_r = t_strdup_printf("Deleting mailbox %s failed: %s",
			qbox->vname,
			mailbox_get_last_internal_error(box, NULL));
	}
	mailbox_free(&box);
	return ret;
}

int recall_quarantine_box_read(struct recall_quarantine *q,
			       const struct recall_quarantine_box *qbox,
			       struct mailbox **box_r,
			       ARRAY_TYPE(seq_range) *uids_r,
			       const char **error_r)
{
	int ret;

	ret = recall_quarantine_box_open(q, qbox->recall_id, qbox->guid, FALSE,
					 box_r, error_r);
	if (ret <= 0)
		return ret;
	t_array_init(uids_r, 4);
	if (recall_mails_get_all(*box_r, uids_r, error_r) < 0) {
		mailbox_free(box_r);
		return -1;
	}
	return 1;
}

int recall_quarantine_box_count(struct recall_quarantine *q,
				const struct recall_quarantine_box *qbox,
				unsigned int *copies, const char **error_r)
{
	struct mailbox *box;
	ARRAY_TYPE(seq_range) uids;
	int ret;

	ret = recall_quarantine_box_read(q, qbox, &box, &uids, error_r);
	if (ret <= 0)
		return ret;
	*copies += seq_range_count(&uids);
	mailbox_free(&box);
	return 0;
}
