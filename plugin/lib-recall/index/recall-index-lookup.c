#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "mailbox-list-private.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-stamp.h"
#include "recall-index.h"

#include <time.h>

struct recall_index_lookup {
	struct mailbox_list *list;
	char *path;
	struct recall_index_file *file;
	struct recall_index_root *root;
	time_t started;
	/* the list's mailboxes as the caller lists them */
	buffer_t *names;
};

static bool hash_matches(uint64_t hash, uint64_t search_hash)
{
	return hash == search_hash || hash == RECALL_INDEX_HASH_MANY;
}

/* Whether one of the numbers, which ascend, is of the mailbox's records. */
static bool
have_base(const struct recall_index_box *box, const uint32_t *numbers,
	  unsigned int count)
{
	unsigned int left = 0, right = count, middle;

	while (left < right) {
		middle = left + (right - left) / 2;
		if (numbers[middle] < box->first)
			left = middle + 1;
		else
			right = middle;
	}
	return left < count && numbers[left] - box->first < box->count;
}

static void
mark_base(struct recall_index_file *file, const ARRAY_TYPE(uint32_t) *found)
{
	struct recall_index_box *box;
	const uint32_t *numbers;
	unsigned int count;

	numbers = array_get(found, &count);
	if (count == 0)
		return;
	array_foreach_modifiable(&file->boxes, box)
		box->candidate = have_base(box, numbers, count);
}

static void mark_tail(struct recall_index_file *file, uint64_t search_hash)
{
	const struct recall_index_tail_rec *rec;
	struct recall_index_box *box;

	if (!array_is_created(&file->tail_recs))
		return;
	array_foreach(&file->tail_recs, rec) {
		if (hash_matches(rec->hash, search_hash)) {
			box = array_idx_modifiable(&file->boxes, rec->box);
			box->candidate = TRUE;
		}
	}
}

/* Returns -1 if not all records could be read. */
static int
mark_candidates(struct recall_index_file *file, uint64_t search_hash)
{
	ARRAY_TYPE(uint32_t) found;
	int ret;

	t_array_init(&found, 8);
	ret = recall_index_file_search(file, 0, file->count, search_hash,
				       RECALL_INDEX_HASH_MANY, &found);
	mark_base(file, &found);
	mark_tail(file, search_hash);
	return ret;
}

/* Reads the index and looks for the hash. All mailboxes are opened if that
   can't be done. */
static void lookup_read(struct recall_index_lookup *lookup,
			uint64_t search_hash)
{
	const char *error;
	int ret;

	ret = recall_index_file_open(lookup->path, &lookup->file, &error);
	if (ret == 0 && mark_candidates(lookup->file, search_hash) < 0) {
		error = t_strdup_printf("read(%s) failed: It has changed",
					lookup->path);
		ret = -1;
	}
	if (ret < 0) {
		e_warning(lookup->list->ns->user->event,
			  "recall: Can't read the Message-ID index: %s", error);
		recall_index_file_unref(&lookup->file);
	}
}

struct recall_index_lookup *
recall_index_lookup_init(struct mailbox_list *list,
			 const struct recall_message_id *id)
{
	struct recall_index_lookup *lookup;
	const char *path;

	lookup = i_new(struct recall_index_lookup, 1);
	lookup->list = list;
	lookup->started = time(NULL);
	path = recall_index_file_get_path(list);
	if (path == NULL)
		return lookup;
	lookup->path = i_strdup(path);
	lookup->root = recall_index_root_open(list);
	T_BEGIN {
		lookup_read(lookup, recall_index_hash(id));
	} T_END;
	return lookup;
}

void recall_index_lookup_again(struct recall_index_lookup *lookup)
{
	lookup->started = time(NULL);
	buffer_free(&lookup->names);
	if (lookup->path != NULL) {
		/* another directory may be there by now */
		recall_index_root_close(&lookup->root);
		lookup->root = recall_index_root_open(lookup->list);
	}
}

struct mailbox_list *
recall_index_lookup_get_list(const struct recall_index_lookup *lookup)
{
	return lookup->list;
}

struct recall_index_file *
recall_index_lookup_get_file(struct recall_index_lookup *lookup)
{
	if (lookup->file == NULL ||
	    !recall_index_file_is_current(lookup->file, lookup->path))
		return NULL;
	recall_index_file_ref(lookup->file);
	return lookup->file;
}

static uint64_t
lookup_get_stamp(struct recall_index_lookup *lookup, const char *name,
		 time_t *changed_r)
{
	uint64_t dirs = recall_index_stamp_dirs(lookup->list, lookup->root,
						name);

	return recall_index_stamp_get(lookup->list, lookup->root, name, dirs,
				      changed_r);
}

uint64_t recall_index_lookup_get_stamp(struct recall_index_lookup *lookup,
				       const char *name)
{
	time_t changed;

	return lookup_get_stamp(lookup, name, &changed);
}

bool recall_index_lookup_may_have(struct recall_index_lookup *lookup,
				  const char *name, time_t *changed_r)
{
	const struct recall_index_box *box;
	uint64_t name_hash, stamp = 0;

	if (lookup->file == NULL)
		return TRUE;
	name_hash = recall_index_stamp_name(name);
	array_foreach(&lookup->file->boxes, box) {
		/* there was another one of this name? */
		if (box->name != name_hash || box->stamp == 0)
			continue;
		if (stamp == 0)
			stamp = lookup_get_stamp(lookup, name, changed_r);
		if (stamp == 0)
			return TRUE;
		if (stamp == box->stamp)
			return box->candidate;
	}
	return TRUE;
}

static const struct recall_index_names *
lookup_find_names(struct recall_index_lookup *lookup)
{
	const struct recall_index_names *names;
	guid_128_t root;

	if (lookup->file == NULL)
		return NULL;
	recall_index_stamp_root(lookup->list, root);
	array_foreach(&lookup->file->lists, names) {
		if (guid_128_equals(names->root, root))
			return names;
	}
	return NULL;
}

bool recall_index_lookup_get_names(struct recall_index_lookup *lookup,
				   ARRAY_TYPE(const_string) *names_r)
{
	const struct recall_index_names *names = lookup_find_names(lookup);
	const char *name;
	uint64_t stamp;

	if (names == NULL)
		return FALSE;
	T_BEGIN {
		stamp = recall_index_stamp_names(lookup->list, lookup->root,
						 names->names, names->size,
						 lookup->started);
	} T_END;
	if (stamp == 0 || stamp != names->stamp)
		return FALSE;
	for (name = names->names; name < names->names + names->size;
	     name += strlen(name) + 1) {
		if (*name != '/')
			array_push_back(names_r, &name);
	}
	return TRUE;
}

void recall_index_lookup_add_name(struct recall_index_lookup *lookup,
				  const char *name, bool selectable)
{
	if (lookup->names == NULL)
		lookup->names = buffer_create_dynamic(default_pool, 1024);
	if (!selectable)
		buffer_append_c(lookup->names, '/');
	buffer_append(lookup->names, name, strlen(name) + 1);
}

void recall_index_lookup_names_added(struct recall_index_lookup *lookup)
{
	const struct recall_index_names *old = lookup_find_names(lookup);
	struct recall_index_names names;
	buffer_t *blocks;
	const char *error;

	if (lookup->file == NULL || lookup->names == NULL)
		return;
	i_zero(&names);
	recall_index_stamp_root(lookup->list, names.root);
	names.names = lookup->names->data;
	names.size = lookup->names->used;
	T_BEGIN {
		names.stamp = recall_index_stamp_names(lookup->list,
			lookup->root, names.names, names.size,
			lookup->started);
	} T_END;
	if (names.stamp == 0 || names.size > RECALL_INDEX_NAMES_MAX -
	    sizeof(names.stamp) ||
	    (old != NULL && old->stamp == names.stamp &&
	     old->size == names.size &&
	     memcmp(old->names, names.names, names.size) == 0))
		return;
	blocks = buffer_create_dynamic(default_pool, 1024);
	recall_index_block_names(blocks, &names);
	if (recall_index_file_append(lookup->list, lookup->path, blocks,
				     &error) < 0) {
		e_warning(lookup->list->ns->user->event,
			  "recall: Can't write Message-ID index: %s", error);
	}
	buffer_free(&blocks);
}

void recall_index_lookup_deinit(struct recall_index_lookup **_lookup)
{
	struct recall_index_lookup *lookup = *_lookup;

	*_lookup = NULL;
	if (lookup == NULL)
		return;
	recall_index_file_unref(&lookup->file);
	recall_index_root_close(&lookup->root);
	buffer_free(&lookup->names);
	i_free(lookup->path);
	i_free(lookup);
}
