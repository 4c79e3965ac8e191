#include "lib.h"
#include "array.h"
#include "hash.h"
#include "recall-copies.h"
#include "recall-quarantine-kept.h"

struct kept_copy {
	/* of the same GUID */
	struct kept_copy *next;
	guid_128_t box_guid;
	/* in the quarantine; 0 if it is not there (any more) */
	uint32_t uid;
	/* by an earlier try */
	bool loaded:1;
	/* in this look */
	bool saved:1;
	/* a message that was seen in this look stands for it */
	bool claimed:1;
	/* that message has been expunged */
	bool taken:1;
};

struct kept_guid {
	struct kept_copy *copies;
	/* what there was before the quarantine is read anew */
	struct kept_copy *before;
	/* copies in the quarantine; messages seen in this look, and at most */
	unsigned int count, seen, seen_max;
	/* of this look: messages that were counted without a copy, less copies
	   of messages that were not, since they had been before; how many of
	   these are not counted any more */
	int without, uncounted;
};

/* A message seen in this look. */
struct kept_claim {
	unsigned int box_idx;
	uint32_t uid;
	struct kept_guid *guid;
	/* NULL if it has only come back */
	struct kept_copy *copy;
};

struct recall_quarantine_kept {
	pool_t pool;
	HASH_TABLE(char *, struct kept_guid *) guids;
	/* by the files that messages are links to */
	HASH_TABLE(char *, struct kept_guid *) links;
	ARRAY(struct kept_copy *) copies;
	ARRAY(struct kept_claim) claims;
	unsigned int looks;
	bool loaded;
	bool changed;
};

struct recall_quarantine_kept *recall_quarantine_kept_init(void)
{
	struct recall_quarantine_kept *kept;
	pool_t pool;

	pool = pool_alloconly_create("recall quarantine kept", 1024);
	kept = p_new(pool, struct recall_quarantine_kept, 1);
	kept->pool = pool;
	hash_table_create(&kept->guids, pool, 0, str_hash, strcmp);
	hash_table_create(&kept->links, pool, 0, str_hash, strcmp);
	p_array_init(&kept->copies, pool, 8);
	p_array_init(&kept->claims, pool, 8);
	return kept;
}

void recall_quarantine_kept_deinit(struct recall_quarantine_kept **_kept)
{
	struct recall_quarantine_kept *kept = *_kept;

	*_kept = NULL;
	if (kept == NULL)
		return;
	hash_table_destroy(&kept->guids);
	hash_table_destroy(&kept->links);
	pool_unref(&kept->pool);
}

static struct kept_guid *
kept_find_guid(struct recall_quarantine_kept *kept, const char *guid)
{
	struct kept_guid *kguid = hash_table_lookup(kept->guids, guid);

	if (kguid == NULL) {
		kguid = p_new(kept->pool, struct kept_guid, 1);
		hash_table_insert(kept->guids, p_strdup(kept->pool, guid),
				  kguid);
	}
	return kguid;
}

/* Links to one file are copies of one message, whatever their GUIDs are. */
static struct kept_guid *
kept_get_guid(struct recall_quarantine_kept *kept,
	      const struct recall_mails_guid *mail)
{
	struct kept_guid *kguid;
	char buf[2 * MAX_INT_STRLEN];
	const char *key = buf;

	if (mail->ino == 0)
		return kept_find_guid(kept, mail->guid);
	(void)i_snprintf(buf, sizeof(buf), "%llu:%llu",
			 (unsigned long long)mail->dev,
			 (unsigned long long)mail->ino);
	kguid = hash_table_lookup(kept->links, key);
	if (kguid == NULL) {
		kguid = kept_find_guid(kept, mail->guid);
		hash_table_insert(kept->links, p_strdup(kept->pool, key),
				  kguid);
	}
	return kguid;
}

static struct kept_copy *
kept_add_copy(struct recall_quarantine_kept *kept, struct kept_guid *kguid,
	      const guid_128_t box_guid)
{
	struct kept_copy *copy = p_new(kept->pool, struct kept_copy, 1);

	guid_128_copy(copy->box_guid, box_guid);
	copy->next = kguid->copies;
	kguid->copies = copy;
	kguid->count++;
	array_push_back(&kept->copies, &copy);
	return copy;
}

static void kept_drop_copy(struct kept_guid *kguid, struct kept_copy *copy)
{
	struct kept_copy **p;

	for (p = &kguid->copies; *p != copy; p = &(*p)->next) ;
	*p = copy->next;
	kguid->count--;
	copy->uid = 0;
}

bool recall_quarantine_kept_is_loaded(const struct recall_quarantine_kept *kept)
{
	return kept->loaded;
}

/* One that there was in the mailbox, rather one that is taken; it's used up. */
static struct kept_copy *
kept_use_before(struct kept_guid *kguid, const guid_128_t box_guid)
{
	struct kept_copy **p, **found = NULL, *copy;

	for (p = &kguid->before; *p != NULL; p = &(*p)->next) {
		if (guid_128_equals((*p)->box_guid, box_guid) &&
		    (found == NULL || (*p)->taken))
			found = p;
	}
	if (found == NULL)
		return NULL;
	copy = *found;
	*found = copy->next;
	return copy;
}

void recall_quarantine_kept_load(struct recall_quarantine_kept *kept,
				 const guid_128_t box_guid,
				 const ARRAY_TYPE(recall_mails_guid) *guids)
{
	const struct recall_mails_guid *mail;
	const struct kept_copy *before;
	struct kept_guid *kguid;
	struct kept_copy *copy;

	array_foreach(guids, mail) {
		kguid = kept_get_guid(kept, mail);
		before = kept_use_before(kguid, box_guid);
		copy = kept_add_copy(kept, kguid, box_guid);
		copy->uid = mail->uid;
		copy->loaded = before == NULL || before->loaded;
		copy->taken = before != NULL && before->taken;
	}
}

static void kept_clear_claims(struct recall_quarantine_kept *kept)
{
	const struct kept_claim *claim;

	array_foreach(&kept->claims, claim) {
		claim->guid->seen = 0;
		claim->guid->without = claim->guid->uncounted = 0;
	}
	array_clear(&kept->claims);
}

void recall_quarantine_kept_begin(struct recall_quarantine_kept *kept)
{
	kept_clear_claims(kept);
	kept->loaded = TRUE;
	if (++kept->looks > 1)
		kept->changed = TRUE;
}

void recall_quarantine_kept_restart(struct recall_quarantine_kept *kept)
{
	struct hash_iterate_context *iter;
	struct kept_guid *kguid;
	char *guid;

	kept_clear_claims(kept);
	array_clear(&kept->copies);
	iter = hash_table_iterate_init(kept->guids);
	while (hash_table_iterate(iter, kept->guids, &guid, &kguid)) {
		kguid->before = kguid->copies;
		kguid->copies = NULL;
		kguid->count = 0;
	}
	hash_table_iterate_deinit(&iter);
	kept->loaded = FALSE;
}

static void
kept_claim(struct recall_quarantine_kept *kept, unsigned int box_idx,
	   uint32_t uid, struct kept_guid *kguid, struct kept_copy *copy)
{
	struct kept_claim *claim = array_append_space(&kept->claims);

	claim->box_idx = box_idx;
	claim->uid = uid;
	claim->guid = kguid;
	claim->copy = copy;
	if (copy != NULL)
		copy->claimed = TRUE;
}

/* A copy that stands for no message yet: of any mailbox if box_guid is NULL. */
static struct kept_copy *
kept_find_free(struct kept_guid *kguid, const uint8_t *box_guid)
{
	struct kept_copy *copy;

	for (copy = kguid->copies; copy != NULL; copy = copy->next) {
		if (!copy->taken && !copy->claimed &&
		    (box_guid == NULL ||
		     guid_128_equals(copy->box_guid, box_guid)))
			return copy;
	}
	return NULL;
}

void recall_quarantine_kept_see(struct recall_quarantine_kept *kept,
				unsigned int box_idx, const guid_128_t box_guid,
				const ARRAY_TYPE(recall_mails_guid) *guids,
				ARRAY_TYPE(recall_mails_guid) *left_r)
{
	const struct recall_mails_guid *mail;
	struct kept_guid *kguid;
	struct kept_copy *copy;

	array_foreach(guids, mail) {
		kguid = kept_get_guid(kept, mail);
		kguid->seen++;
		kguid->seen_max = I_MAX(kguid->seen_max, kguid->seen);
		copy = *mail->guid == '\0' ? NULL :
			kept_find_free(kguid, box_guid);
		if (copy != NULL)
			kept_claim(kept, box_idx, mail->uid, kguid, copy);
		else
			array_push_back(left_r, mail);
	}
}

void recall_quarantine_kept_want(struct recall_quarantine_kept *kept,
				 unsigned int box_idx,
				 const guid_128_t box_guid,
				 const ARRAY_TYPE(recall_mails_guid) *left,
				 ARRAY_TYPE(seq_range) *uids_r)
{
	const struct recall_mails_guid *mail;
	struct kept_guid *kguid;
	struct kept_copy *copy;

	array_foreach(left, mail) {
		kguid = kept_get_guid(kept, mail);
		/* what has no GUID can't be recognized: rather twice than
		   never */
		if (*mail->guid == '\0' || kguid->count < kguid->seen_max) {
			copy = kept_add_copy(kept, kguid, box_guid);
			copy->saved = TRUE;
			seq_range_array_add(uids_r, mail->uid);
		} else {
			copy = kept_find_free(kguid, NULL);
		}
		kept_claim(kept, box_idx, mail->uid, kguid, copy);
	}
}

void recall_quarantine_kept_get_left(const struct recall_quarantine_kept *kept,
				     unsigned int box_idx,
				     const guid_128_t box_guid,
				     ARRAY_TYPE(recall_mails_copied) *copied_r)
{
	const struct kept_claim *claim;
	struct recall_mails_copied *copied;

	array_foreach(&kept->claims, claim) {
		if (claim->box_idx != box_idx || claim->copy == NULL ||
		    !claim->copy->loaded || claim->copy->uid == 0 ||
		    !guid_128_equals(claim->copy->box_guid, box_guid))
			continue;
		copied = array_append_space(copied_r);
		copied->uid = claim->uid;
		copied->dest_uid = claim->copy->uid;
	}
}

bool recall_quarantine_kept_has_again(const struct recall_quarantine_kept *kept)
{
	const struct kept_claim *claim;
	const struct kept_copy *copy;

	array_foreach(&kept->claims, claim) {
		for (copy = claim->guid->copies; copy != NULL;
		     copy = copy->next) {
			if (copy->loaded && copy->uid != 0)
				return TRUE;
		}
	}
	return FALSE;
}

void recall_quarantine_kept_set_changed(struct recall_quarantine_kept *kept)
{
	kept->changed = TRUE;
}

void
recall_quarantine_kept_saved(struct recall_quarantine_kept *kept,
			     unsigned int box_idx,
			     const ARRAY_TYPE(recall_mails_copied) *copied)
{
	const struct recall_mails_copied *saved;
	const struct kept_claim *claim;
	unsigned int i = 0, count;

	/* both are in the order of UIDs */
	saved = array_get(copied, &count);
	array_foreach(&kept->claims, claim) {
		if (i < count && claim->box_idx == box_idx &&
		    claim->uid == saved[i].uid && claim->copy->saved)
			claim->copy->uid = saved[i++].dest_uid;
	}
	i_assert(i == count);
}

/* It may be another one of several with this GUID that has only come back. */
static void
kept_count_without(const struct kept_claim *claim, bool counted)
{
	if (claim->copy == NULL && counted)
		claim->guid->without++;
	else if (claim->copy != NULL && !counted)
		claim->guid->without--;
}

static int kept_uncount(struct recall_quarantine_kept *kept)
{
	const struct kept_claim *claim;
	int uncounted, more = 0;

	array_foreach(&kept->claims, claim) {
		uncounted = I_MAX(claim->guid->without, 0);
		more += uncounted - claim->guid->uncounted;
		claim->guid->uncounted = uncounted;
	}
	return more;
}

void recall_quarantine_kept_reconcile(struct recall_quarantine_kept *kept,
				      unsigned int box_idx,
				      const struct recall_copies_box *cbox,
				      int *came_back_r,
				      ARRAY_TYPE(seq_range) *surplus_r)
{
	const struct kept_claim *claim;
	struct kept_copy *copy;
	bool taken;

	array_foreach(&kept->claims, claim) {
		if (claim->box_idx != box_idx)
			continue;
		taken = array_is_created(&cbox->expunged) &&
			seq_range_exists(&cbox->expunged, claim->uid);
		copy = claim->copy;
		if (taken && !cbox->expunge_failed) {
			kept_count_without(claim,
				seq_range_exists(&cbox->counted, claim->uid));
		}
		if (copy == NULL)
			continue;
		if (taken || cbox->expunge_failed) {
			copy->taken = TRUE;
		} else if (copy->saved) {
			if (copy->uid != 0)
				seq_range_array_add(surplus_r, copy->uid);
			kept_drop_copy(claim->guid, copy);
			kept->changed = TRUE;
		}
		copy->saved = copy->claimed = FALSE;
	}
	*came_back_r = kept_uncount(kept);
}

unsigned int
recall_quarantine_kept_count(const struct recall_quarantine_kept *kept,
			     const guid_128_t box_guid)
{
	struct kept_copy *copy;
	unsigned int count = 0;

	array_foreach_elem(&kept->copies, copy) {
		if (copy->uid != 0 && guid_128_equals(copy->box_guid, box_guid))
			count++;
	}
	return count;
}

unsigned int
recall_quarantine_kept_earlier(const struct recall_quarantine_kept *kept)
{
	struct kept_copy *copy;
	unsigned int count = 0;

	array_foreach_elem(&kept->copies, copy) {
		if (copy->loaded && copy->uid != 0 && !copy->claimed &&
		    !copy->taken)
			count++;
	}
	return count;
}

bool
recall_quarantine_kept_is_changed(const struct recall_quarantine_kept *kept)
{
	return kept->changed;
}
