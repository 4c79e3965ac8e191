#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-rebuilds.h"
#include "recall-scan.h"

#include <time.h>
#include <sys/stat.h>

/* Seconds that clocks, of file servers too, may differ. */
#define SCAN_CLOCK_SLACK 1

struct scan_box {
	/* its name in the list's storage */
	struct mailbox_list *list;
	const char *name;
	/* 0 if the mailbox was not opened */
	uint32_t uid_validity;
	/* of the messages that were searched */
	uint32_t next_uid;
	bool found;
	/* what it looked like when all that was found had gone
	   (recall-index-stamp.h), 0 if it is not known that it has */
	uint64_t emptied;
};
ARRAY_DEFINE_TYPE(scan_box, struct scan_box);

struct recall_scan {
	pool_t pool;
	/* what was written before then was seen by the first look */
	time_t since;
	/* the clock was ahead of one that nobody sets by so many ms then */
	int64_t ahead;
	/* of the look before, and of this one */
	ARRAY_TYPE(scan_box) before, now;
	/* where in before the last one was found: looks have the same order */
	unsigned int before_idx;
	unsigned int looks;
	ARRAY(struct recall_index_lookup *) lookups;
	struct recall_rebuilds *rebuilds;
	/* the index has stamps that these have not */
	bool outdated:1;
	bool again:1;
	bool certain:1;
	/* directories have changed */
	bool relisted:1;
};

static int64_t scan_clock_ahead(void)
{
	struct timespec now, mono;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0 ||
	    clock_gettime(CLOCK_MONOTONIC, &mono) < 0)
		i_fatal("clock_gettime() failed: %m");
	return ((int64_t)now.tv_sec - mono.tv_sec) * 1000 +
		(now.tv_nsec - mono.tv_nsec) / 1000000;
}

struct recall_scan *recall_scan_init(pool_t pool)
{
	struct recall_scan *scan = p_new(pool, struct recall_scan, 1);

	scan->pool = pool;
	scan->since = time(NULL) - SCAN_CLOCK_SLACK;
	scan->ahead = scan_clock_ahead();
	p_array_init(&scan->before, pool, 32);
	p_array_init(&scan->now, pool, 32);
	p_array_init(&scan->lookups, pool, 1);
	scan->rebuilds = recall_rebuilds_init(pool);
	return scan;
}

static void scan_forget_lookups(struct recall_scan *scan)
{
	struct recall_index_lookup **lookup;

	array_foreach_modifiable(&scan->lookups, lookup)
		recall_index_lookup_deinit(lookup);
	array_clear(&scan->lookups);
	scan->outdated = FALSE;
}

void recall_scan_deinit(struct recall_scan **_scan)
{
	struct recall_scan *scan = *_scan;

	*_scan = NULL;
	scan_forget_lookups(scan);
}

struct recall_index_lookup *
recall_scan_find_lookup(struct recall_scan *scan, struct mailbox_list *list)
{
	struct recall_index_lookup *lookup;

	array_foreach_elem(&scan->lookups, lookup) {
		if (recall_index_lookup_get_list(lookup) == list)
			return lookup;
	}
	return NULL;
}

struct recall_index_lookup *
recall_scan_get_lookup(struct recall_scan *scan, struct mailbox_list *list,
		       const struct recall_message_id *id)
{
	struct recall_index_lookup *lookup;

	lookup = recall_scan_find_lookup(scan, list);
	if (lookup != NULL) {
		recall_index_lookup_again(lookup);
		return lookup;
	}
	lookup = recall_index_lookup_init(list, id);
	array_push_back(&scan->lookups, &lookup);
	return lookup;
}

void recall_scan_begin(struct recall_scan *scan)
{
	ARRAY_TYPE(scan_box) old = scan->before;

	if (scan->outdated)
		scan_forget_lookups(scan);
	/* The clock was set back: what was written since then looks as if it
	   was there before. So does what is older, but there is no telling. */
	if (scan_clock_ahead() < scan->ahead - SCAN_CLOCK_SLACK * 900)
		scan->since = 0;
	scan->again = array_count(&scan->now) > 0;
	scan->before = scan->now;
	scan->before_idx = 0;
	scan->now = old;
	array_clear(&scan->now);
	scan->certain = TRUE;
	scan->relisted = FALSE;
	scan->looks++;
	recall_rebuilds_begin(scan->rebuilds);
}

void recall_scan_begin_ns(struct recall_scan *scan,
			  const struct mail_namespace *ns)
{
	recall_rebuilds_begin_ns(scan->rebuilds, ns);
}

static const struct scan_box *
scan_find_before(struct recall_scan *scan, struct mailbox_list *list,
		 const char *name)
{
	const struct scan_box *boxes;
	unsigned int i, idx, count;

	boxes = array_get(&scan->before, &count);
	for (i = 0; i < count; i++) {
		idx = (scan->before_idx + i) % count;
		if (boxes[idx].list == list &&
		    strcmp(boxes[idx].name, name) == 0) {
			scan->before_idx = idx + 1;
			return &boxes[idx];
		}
	}
	return NULL;
}

/* Whoever saves or expunges writes to the index's log first. */
static bool scan_box_has_changed(struct recall_scan *scan,
				 struct mailbox *box)
{
	const char *dir, *path;
	struct stat st;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_INDEX, &dir) <= 0)
		return TRUE;
	path = t_strconcat(dir, "/", box->index_prefix, ".log", NULL);
	/* without a log it may have been renamed just now */
	return stat(path, &st) < 0 || st.st_mtime >= scan->since;
}

static void
scan_add(struct recall_scan *scan, const struct scan_box *lbox)
{
	array_push_back(&scan->now, lbox);
}

bool recall_scan_skip(struct recall_scan *scan, struct mailbox *box)
{
	const struct scan_box *old;

	recall_rebuilds_put_down(scan->rebuilds, box);
	if (!scan->again)
		return FALSE;
	old = scan_find_before(scan, box->list, box->name);
	if (!scan_box_has_changed(scan, box)) {
		if (old == NULL || old->found)
			return FALSE;
		scan_add(scan, old);
		return TRUE;
	}
	/* the search reports errors */
	if (mailbox_open(box) == 0)
		(void)mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ);
	return FALSE;
}

bool recall_scan_pass_over(struct recall_scan *scan, struct mailbox_list *list,
			   const char *name, time_t changed)
{
	const struct scan_box *old;
	struct scan_box lbox;

	if (changed >= scan->since)
		return FALSE;
	old = scan_find_before(scan, list, name);
	if (old != NULL && old->found)
		return FALSE;
	if (old == NULL) {
		i_zero(&lbox);
		lbox.list = list;
		lbox.name = p_strdup(scan->pool, name);
		old = &lbox;
	}
	scan_add(scan, old);
	return TRUE;
}

bool recall_scan_is_latest(struct mailbox *box)
{
	const struct mail_index_header *hdr = mail_index_get_header(box->view);
	const uint32_t seq = hdr->log_file_seq;
	const uint32_t head = hdr->log_file_head_offset;

	if (mail_index_refresh(box->index) < 0) {
		mail_index_reset_error(box->index);
		return FALSE;
	}
	hdr = &box->index->map->hdr;
	return hdr->log_file_seq == seq && hdr->log_file_head_offset == head;
}

static void
scan_box_set_emptied(struct scan_box *sbox, struct mailbox *box,
		     struct recall_index_lookup *lookup)
{
	const struct mail_index_header *hdr = mail_index_get_header(box->view);
	uint64_t stamp;

	if (sbox->uid_validity != hdr->uid_validity ||
	    sbox->next_uid != hdr->next_uid)
		return;
	/* in this order: the view has what all up to the stamp has brought */
	stamp = recall_index_lookup_get_stamp(lookup, sbox->name);
	if (stamp == 0 || !recall_scan_is_latest(box))
		return;
	sbox->found = FALSE;
	sbox->emptied = stamp;
}

void recall_scan_set_emptied(struct recall_scan *scan, struct mailbox *box)
{
	struct recall_index_lookup *lookup;
	struct scan_box *sbox;

	lookup = recall_scan_find_lookup(scan, box->list);
	if (lookup == NULL)
		return;
	array_foreach_modifiable(&scan->now, sbox) {
		if (sbox->list == box->list &&
		    strcmp(sbox->name, box->name) == 0)
			scan_box_set_emptied(sbox, box, lookup);
	}
}

bool recall_scan_is_empty(struct recall_scan *scan, struct mailbox_list *list,
			  const char *name)
{
	const struct scan_box *old = scan_find_before(scan, list, name);

	if (old == NULL || old->emptied == 0 ||
	    recall_index_lookup_get_stamp(recall_scan_find_lookup(scan, list),
					  name) != old->emptied)
		return FALSE;
	scan_add(scan, old);
	return TRUE;
}

/* Whether all messages that have come since the look before are there. */
static bool scan_all_stayed(const struct scan_box *old,
			      struct mail_index_view *view)
{
	const struct mail_index_header *hdr = mail_index_get_header(view);
	uint32_t seq1, seq2;

	if (old->uid_validity != hdr->uid_validity ||
	    old->next_uid > hdr->next_uid)
		return FALSE;
	if (old->next_uid == hdr->next_uid)
		return TRUE;
	return mail_index_lookup_seq_range(view, old->next_uid,
					   hdr->next_uid - 1, &seq1, &seq2) &&
		seq2 - seq1 == hdr->next_uid - 1 - old->next_uid;
}

void recall_scan_add(struct recall_scan *scan, struct mailbox *box,
		     bool found)
{
	const struct scan_box *old;
	struct scan_box lbox = { .list = box->list, .found = found };
	const struct mail_index_header *hdr;

	old = scan_find_before(scan, box->list, box->name);
	lbox.name = old != NULL ? old->name : p_strdup(scan->pool, box->name);
	if (box->opened) {
		hdr = mail_index_get_header(box->view);
		lbox.uid_validity = hdr->uid_validity;
		lbox.next_uid = hdr->next_uid;
		if (!found)
			scan->outdated = TRUE;
	}
	scan_add(scan, &lbox);

	if (box->opened && old != NULL && old->uid_validity != 0) {
		if (!scan_all_stayed(old, box->view))
			scan->certain = FALSE;
	} else if (scan_box_has_changed(scan, box)) {
		scan->certain = FALSE;
	}
}

void recall_scan_set_uncertain(struct recall_scan *scan)
{
	scan->certain = FALSE;
}

void recall_scan_listed(struct recall_scan *scan, time_t changed)
{
	if (changed >= scan->since)
		scan->relisted = TRUE;
}

/* Whether the look before was at the same mailboxes. */
static bool scan_has_same_boxes(struct recall_scan *scan)
{
	const struct scan_box *sbox;

	if (array_count(&scan->before) != array_count(&scan->now))
		return FALSE;
	scan->before_idx = 0;
	array_foreach(&scan->now, sbox) {
		if (scan_find_before(scan, sbox->list, sbox->name) == NULL)
			return FALSE;
	}
	return TRUE;
}

bool recall_scan_is_certain(struct recall_scan *scan)
{
	return scan->certain &&
		(!scan->relisted ||
		 (scan->looks > 1 && scan_has_same_boxes(scan)));
}

bool recall_scan_is_rebuilt(struct recall_scan *scan)
{
	return !recall_rebuilds_are_over(scan->rebuilds);
}

void recall_scan_found(struct recall_scan *scan)
{
	recall_rebuilds_found(scan->rebuilds);
}

bool recall_scan_was_rebuilt(struct recall_scan *scan)
{
	return recall_rebuilds_have_been(scan->rebuilds);
}
