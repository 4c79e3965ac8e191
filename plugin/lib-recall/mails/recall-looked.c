#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "recall-looked.h"

#include <time.h>
#include <sys/stat.h>

/* Seconds that clocks, of file servers too, may differ. */
#define LOOKED_CLOCK_SLACK 1

struct looked_box {
	const char *vname;
	/* 0 if the mailbox was not opened */
	uint32_t uid_validity;
	/* of the messages that were searched */
	uint32_t next_uid;
	bool found;
};
ARRAY_DEFINE_TYPE(looked_box, struct looked_box);

struct recall_looked {
	pool_t pool;
	/* what was written before then was seen by the first look */
	time_t since;
	/* of the look before, and of this one */
	ARRAY_TYPE(looked_box) before, now;
	/* where in before the last one was found: looks have the same order */
	unsigned int before_idx;
	bool again:1;
	bool certain:1;
};

struct recall_looked *recall_looked_init(pool_t pool)
{
	struct recall_looked *looked = p_new(pool, struct recall_looked, 1);

	looked->pool = pool;
	looked->since = time(NULL) - LOOKED_CLOCK_SLACK;
	p_array_init(&looked->before, pool, 8);
	p_array_init(&looked->now, pool, 8);
	return looked;
}

void recall_looked_begin(struct recall_looked *looked)
{
	ARRAY_TYPE(looked_box) old = looked->before;

	looked->again = array_count(&looked->now) > 0;
	looked->before = looked->now;
	looked->before_idx = 0;
	looked->now = old;
	array_clear(&looked->now);
	looked->certain = TRUE;
}

static const struct looked_box *
looked_find_before(struct recall_looked *looked, const char *vname)
{
	const struct looked_box *boxes;
	unsigned int i, idx, count;

	boxes = array_get(&looked->before, &count);
	for (i = 0; i < count; i++) {
		idx = (looked->before_idx + i) % count;
		if (strcmp(boxes[idx].vname, vname) == 0) {
			looked->before_idx = idx + 1;
			return &boxes[idx];
		}
	}
	return NULL;
}

/* Whoever saves or expunges writes to the index's log first. */
static bool looked_box_has_changed(struct recall_looked *looked,
				   struct mailbox *box)
{
	const char *dir, *path;
	struct stat st;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_INDEX, &dir) <= 0)
		return TRUE;
	path = t_strconcat(dir, "/", box->index_prefix, ".log", NULL);
	/* without a log it may have been renamed just now */
	return stat(path, &st) < 0 || st.st_mtime >= looked->since;
}

static void
looked_add(struct recall_looked *looked, const struct looked_box *lbox)
{
	array_push_back(&looked->now, lbox);
}

bool recall_looked_skip(struct recall_looked *looked, struct mailbox *box)
{
	const struct looked_box *old;

	if (!looked->again)
		return FALSE;
	old = looked_find_before(looked, mailbox_get_vname(box));
	if (!looked_box_has_changed(looked, box)) {
		if (old == NULL || old->found)
			return FALSE;
		looked_add(looked, old);
		return TRUE;
	}
	/* the search tells of errors */
	if (mailbox_open(box) == 0)
		(void)mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ);
	return FALSE;
}

bool recall_looked_pass_over(struct recall_looked *looked, const char *vname,
			     time_t changed)
{
	const struct looked_box *old;
	struct looked_box lbox;

	if (changed >= looked->since)
		return FALSE;
	old = looked_find_before(looked, vname);
	if (old != NULL && old->found)
		return FALSE;
	i_zero(&lbox);
	lbox.vname = old != NULL ? old->vname : p_strdup(looked->pool, vname);
	looked_add(looked, old != NULL ? old : &lbox);
	return TRUE;
}

/* Whether all messages that have come since the look before are there. */
static bool looked_all_stayed(const struct looked_box *old,
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

void recall_looked_add(struct recall_looked *looked, struct mailbox *box,
		       bool found)
{
	const struct looked_box *old;
	struct looked_box lbox = { .found = found };
	const struct mail_index_header *hdr;

	old = looked_find_before(looked, mailbox_get_vname(box));
	lbox.vname = old != NULL ? old->vname :
		p_strdup(looked->pool, mailbox_get_vname(box));
	if (box->opened) {
		hdr = mail_index_get_header(box->view);
		lbox.uid_validity = hdr->uid_validity;
		lbox.next_uid = hdr->next_uid;
	}
	looked_add(looked, &lbox);

	if (box->opened && old != NULL && old->uid_validity != 0) {
		if (!looked_all_stayed(old, box->view))
			looked->certain = FALSE;
	} else if (looked_box_has_changed(looked, box)) {
		looked->certain = FALSE;
	}
}

void recall_looked_set_uncertain(struct recall_looked *looked)
{
	looked->certain = FALSE;
}

bool recall_looked_is_certain(const struct recall_looked *looked)
{
	return looked->certain;
}
