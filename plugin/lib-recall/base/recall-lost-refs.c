#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "seq-range-array.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "mailbox-list-iter.h"
#include "mdbox-storage.h"
#include "mdbox-map-private.h"
#include "recall-lost-refs.h"

#include <sys/stat.h>

/* Who moves mail meanwhile may do so to a mailbox that is not listed yet, which
   happens once. The first look is without a lock: mostly there is nothing to be
   found. */
#define LOOKS 3

#define LOST_REFS_CONTEXT(obj) \
	MODULE_CONTEXT(obj, lost_refs_user_module)

struct lost_refs_user {
	union mail_user_module_context module_ctx;
	/* as its map was when nothing was lost: mailboxes do not change without
	   it */
	struct mail_storage *storage;
	uint32_t log_seq, log_offset;
};

struct lost_refs {
	struct mailbox *box;
	struct mdbox_storage *storage;
	/* of all namespaces in the storage */
	ARRAY(struct mailbox *) boxes;
	/* what the map counts, and what a mailbox has */
	ARRAY_TYPE(seq_range) counted, found;
	uint32_t log_seq, log_offset;
};

static MODULE_CONTEXT_DEFINE_INIT(lost_refs_user_module,
				  &mail_user_module_register);

/* Creating a mailbox makes its directory, and then the index. There may be
   another one of the index, which was lost with it. */
static bool index_is_newer(struct mailbox *box)
{
	const struct mail_index_header *hdr = mail_index_get_header(box->view);
	const char *path = mailbox_get_path(box), *parent;
	struct stat st;
	time_t made;

	if (stat(path, &st) < 0)
		return FALSE;
	made = st.st_mtime;
	parent = strrchr(path, '/');
	/* that one has changed when the directory came into it */
	if (parent != NULL && stat(t_strdup_until(path, parent), &st) == 0)
		made = I_MIN(made, st.st_mtime);
	return made < (time_t)hdr->indexid;
}

static int lost_refs_set_error(struct lost_refs *refs, const char *what)
{
	mailbox_set_critical(refs->box, "Reading %s failed", what);
	return -1;
}

static int lost_refs_list(struct lost_refs *refs, struct mail_namespace *ns)
{
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct mailbox *box;

	/* as Dovecot's rebuild does */
	iter = mailbox_list_iter_init(ns->list, "*",
				      MAILBOX_LIST_ITER_RAW_LIST |
				      MAILBOX_LIST_ITER_RETURN_NO_FLAGS);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NONEXISTENT |
				    MAILBOX_NOSELECT)) != 0)
			continue;
		box = mailbox_alloc(ns->list, info->vname,
				    MAILBOX_FLAG_READONLY |
				    MAILBOX_FLAG_IGNORE_ACLS);
		array_push_back(&refs->boxes, &box);
	}
	if (mailbox_list_iter_deinit(&iter) == 0)
		return 0;
	return lost_refs_set_error(refs, t_strdup_printf(
		"the list of mailboxes of namespace %s", ns->prefix));
}

static int lost_refs_list_all(struct lost_refs *refs)
{
	struct mail_storage *storage = refs->box->storage;
	struct mail_namespace *ns = storage->user->namespaces;

	for (; ns != NULL; ns = ns->next) {
		if (ns->storage == storage && ns->alias_for == NULL &&
		    lost_refs_list(refs, ns) < 0)
			return -1;
	}
	return 0;
}

static int lost_refs_read_map(struct lost_refs *refs)
{
	struct mdbox_map *map = refs->storage->map;
	const struct mail_index_header *hdr;
	struct mail_index_view *view;
	const uint16_t *count;
	const void *data;
	uint32_t seq, map_uid;

	if (mail_index_refresh(map->index) < 0) {
		mail_index_reset_error(map->index);
		return lost_refs_set_error(refs, "the map");
	}
	view = mail_index_view_open(map->index);
	hdr = mail_index_get_header(view);
	refs->log_seq = hdr->log_file_seq;
	refs->log_offset = hdr->log_file_head_offset;
	for (seq = 1; seq <= hdr->messages_count; seq++) {
		mail_index_lookup_ext(view, seq, map->ref_ext_id, &data, NULL);
		count = data;
		if (count != NULL && *count > 0) {
			mail_index_lookup_uid(view, seq, &map_uid);
			seq_range_array_add(&refs->counted, map_uid);
		}
	}
	mail_index_view_close(&view);
	return 0;
}

static int lost_refs_read_box(struct lost_refs *refs, struct mailbox *box)
{
	struct mdbox_mailbox *mbox = MDBOX_MAILBOX(box);
	const struct mdbox_mail_index_record *rec;
	struct mail_index_view *view;
	const void *data;
	uint32_t seq, count;

	if (box->storage != refs->box->storage)
		return 0;
	if (mailbox_open(box) < 0) {
		/* it was deleted, or renamed */
		if (mailbox_get_last_mail_error(box) == MAIL_ERROR_NOTFOUND)
			return 0;
		return lost_refs_set_error(refs, t_strdup_printf(
			"mailbox %s", mailbox_get_vname(box)));
	}
	if (mail_index_refresh(box->index) < 0) {
		mail_index_reset_error(box->index);
		return lost_refs_set_error(refs, t_strdup_printf(
			"the index of mailbox %s", mailbox_get_vname(box)));
	}
	view = mail_index_view_open(box->index);
	count = mail_index_view_get_messages_count(view);
	for (seq = 1; seq <= count; seq++) {
		mail_index_lookup_ext(view, seq, mbox->ext_id, &data, NULL);
		rec = data;
		if (rec != NULL)
			seq_range_array_add(&refs->found, rec->map_uid);
	}
	mail_index_view_close(&view);
	mailbox_close(box);
	return 0;
}

static int lost_refs_read(struct lost_refs *refs)
{
	struct mailbox *box;
	int ret;

	ret = lost_refs_read_map(refs);
	array_foreach_elem(&refs->boxes, box) {
		if (ret == 0) T_BEGIN {
			ret = lost_refs_read_box(refs, box);
		} T_END;
	}
	return ret;
}

/* Whoever changes mailboxes holds this lock. */
static int lost_refs_read_locked(struct lost_refs *refs)
{
	struct mdbox_map_atomic_context *atomic;
	int ret;

	atomic = mdbox_map_atomic_begin(refs->storage->map);
	ret = mdbox_map_atomic_lock(atomic, "recall");
	if (ret < 0)
		lost_refs_set_error(refs, "the map");
	else
		ret = lost_refs_read(refs);
	/* nothing is written */
	mdbox_map_atomic_set_failed(atomic);
	(void)mdbox_map_atomic_finish(&atomic);
	return ret;
}

/* Returns 1 if something is lost. */
static int lost_refs_look(struct lost_refs *refs, bool locked)
{
	struct mailbox **box;
	int ret;

	i_array_init(&refs->counted, 32);
	i_array_init(&refs->found, 32);
	i_array_init(&refs->boxes, 32);
	ret = lost_refs_list_all(refs);
	if (ret == 0)
		ret = locked ? lost_refs_read_locked(refs) :
			lost_refs_read(refs);
	array_foreach_modifiable(&refs->boxes, box)
		mailbox_free(box);
	seq_range_array_remove_seq_range(&refs->counted, &refs->found);
	if (ret == 0 && array_count(&refs->counted) > 0)
		ret = 1;
	array_free(&refs->boxes);
	array_free(&refs->counted);
	array_free(&refs->found);
	return ret;
}

static struct lost_refs_user *lost_refs_get_user(struct mail_user *user)
{
	struct lost_refs_user *luser = LOST_REFS_CONTEXT(user);

	if (luser == NULL) {
		luser = p_new(user->pool, struct lost_refs_user, 1);
		MODULE_CONTEXT_SET(user, lost_refs_user_module, luser);
	}
	return luser;
}

static bool
lost_refs_are_known(struct lost_refs_user *luser, struct mdbox_storage *storage)
{
	const struct mail_index_header *hdr;

	if (luser->storage != &storage->storage.storage)
		return FALSE;
	if (mail_index_refresh(storage->map->index) < 0) {
		mail_index_reset_error(storage->map->index);
		return FALSE;
	}
	hdr = &storage->map->index->map->hdr;
	return hdr->log_file_seq == luser->log_seq &&
		hdr->log_file_head_offset == luser->log_offset;
}

int recall_lost_refs_check(struct mailbox *box)
{
	struct lost_refs refs = {
		.box = box,
		.storage = MDBOX_STORAGE(box->storage),
	};
	struct lost_refs_user *luser = lost_refs_get_user(box->storage->user);
	unsigned int i;
	int ret;

	if (!index_is_newer(box))
		return 0;
	ret = mdbox_map_open(refs.storage->map);
	if (ret <= 0 || lost_refs_are_known(luser, refs.storage))
		return ret < 0 ? -1 : 0;
	ret = 1;
	for (i = 0; i < LOOKS && ret > 0; i++) T_BEGIN {
		ret = lost_refs_look(&refs, i > 0);
	} T_END;
	if (ret == 0) {
		luser->storage = box->storage;
		luser->log_seq = refs.log_seq;
		luser->log_offset = refs.log_offset;
	}
	return ret;
}
