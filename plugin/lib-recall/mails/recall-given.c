#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-transaction-log-view-private.h"
#include "recall-given.h"

#define GIVEN_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_given_module)

/* A header of the mailbox's index, as this is what a plugin may write into the
   log. It has what was written last. */
#define GIVEN_EXT_NAME "recall-given"
#define GIVEN_MAGIC 0x32474352
#define GIVEN_RANGES_MAX 16

struct given_header {
	uint32_t magic;
	/* of what is copied to, and the first of the copies, which have one UID
	   after the other */
	uint32_t dest_uid_validity, first_uid;
	uint32_t uid_validity;
	struct recall_given_generation generation;
	guid_128_t box_guid;
	/* the messages that were copied, in this order; 0 where it ends */
	struct seq_range uids[GIVEN_RANGES_MAX];
};

/* What one transaction has given. */
struct given {
	uint32_t first_uid;
	ARRAY_TYPE(seq_range) uids, expunged;
};

struct given_scan {
	const struct recall_given *key;
	uint32_t dest_uid_validity;
	ARRAY(struct given) given;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_given_module,
				  &mail_index_module_register);

static uint32_t given_ext_register(struct mailbox *box)
{
	return mail_index_ext_register(box->index, GIVEN_EXT_NAME,
				       sizeof(struct given_header), 0, 0);
}

int recall_given_init(struct recall_given *given_r, struct mailbox *src,
		      const struct recall_given_generation *generation,
		      const char **error_r)
{
	struct mailbox_metadata metadata;
	struct mailbox_status status;

	i_zero(given_r);
	t_array_init(&given_r->uids, 4);
	given_r->generation = *generation;
	if (mailbox_get_metadata(src, MAILBOX_METADATA_GUID, &metadata) < 0) {
		*error_r = t_strdup_printf("Reading mailbox %s failed: %s",
			mailbox_get_vname(src),
			mailbox_get_last_internal_error(src, NULL));
		return -1;
	}
	guid_128_copy(given_r->box_guid, metadata.guid);
	mailbox_get_open_status(src, STATUS_UIDVALIDITY, &status);
	given_r->uid_validity = status.uidvalidity;
	return 0;
}

/* Returns FALSE if they don't fit, or are not what the transaction appends. */
static bool
given_set_uids(const struct recall_given *given,
	       struct mail_index_transaction *t, struct given_header *hdr)
{
	const struct seq_range *ranges;
	unsigned int count;
	uint32_t seq;

	ranges = array_get(given->copied, &count);
	if (count == 0 || count > GIVEN_RANGES_MAX || t->last_new_seq == 0 ||
	    t->last_new_seq - t->first_new_seq + 1 !=
	    seq_range_count(given->copied))
		return FALSE;
	memcpy(hdr->uids, ranges, count * sizeof(*ranges));
	hdr->first_uid =
		mail_index_transaction_lookup(t, t->first_new_seq)->uid;
	for (seq = t->first_new_seq; seq <= t->last_new_seq; seq++) {
		if (mail_index_transaction_lookup(t, seq)->uid !=
		    hdr->first_uid + (seq - t->first_new_seq))
			return FALSE;
	}
	return hdr->first_uid != 0;
}

/* The copies have their UIDs now, and are about to be written into the log. */
static int
given_commit(struct mail_index_transaction *t,
	     struct mail_index_transaction_commit_result *result_r)
{
	struct recall_given *given = GIVEN_CONTEXT(t);
	struct mailbox_transaction_context *trans =
		MAIL_STORAGE_CONTEXT_REQUIRE(t);
	struct given_header hdr;

	i_zero(&hdr);
	hdr.magic = GIVEN_MAGIC;
	hdr.dest_uid_validity =
		mail_index_get_header(t->view)->uid_validity;
	hdr.uid_validity = given->uid_validity;
	hdr.generation = given->generation;
	guid_128_copy(hdr.box_guid, given->box_guid);
	if (given_set_uids(given, t, &hdr)) {
		mail_index_update_header_ext(t, given_ext_register(trans->box),
					     0, &hdr, sizeof(hdr));
	}
	return given->module_ctx.super.commit(t, result_r);
}

void recall_given_write(struct recall_given *given,
			struct mailbox_transaction_context *dest_trans,
			const ARRAY_TYPE(seq_range) *uids)
{
	/* this is what is called when the storage has given them UIDs */
	given->module_ctx.super = dest_trans->super;
	dest_trans->super.commit = given_commit;
	given->copied = uids;
	MODULE_CONTEXT_SET(dest_trans->itrans, recall_given_module, given);
}

static void
given_scan_header(struct given_scan *scan, const void *data, size_t size)
{
	const struct mail_transaction_ext_hdr_update *update = data;
	struct given_header hdr;
	struct given *given;
	unsigned int i;

	if (size < sizeof(*update) + sizeof(hdr) || update->offset != 0 ||
	    update->size != sizeof(hdr))
		return;
	memcpy(&hdr, update + 1, sizeof(hdr));
	if (hdr.magic != GIVEN_MAGIC ||
	    hdr.dest_uid_validity != scan->dest_uid_validity ||
	    hdr.uid_validity != scan->key->uid_validity ||
	    hdr.generation.uid_validity !=
	    scan->key->generation.uid_validity ||
	    hdr.generation.next_uid != scan->key->generation.next_uid ||
	    !guid_128_equals(hdr.box_guid, scan->key->box_guid))
		return;
	given = array_append_space(&scan->given);
	given->first_uid = hdr.first_uid;
	t_array_init(&given->uids, 4);
	t_array_init(&given->expunged, 4);
	for (i = 0; i < GIVEN_RANGES_MAX && hdr.uids[i].seq1 != 0; i++) {
		seq_range_array_add_range(&given->uids, hdr.uids[i].seq1,
					  hdr.uids[i].seq2);
	}
}

static void given_scan_expunged(struct given_scan *scan, uint32_t uid)
{
	struct given *given;

	array_foreach_modifiable(&scan->given, given)
		seq_range_array_add(&given->expunged, uid);
}

static void
given_scan_record(struct given_scan *scan,
		  const struct mail_transaction_header *hdr, const void *data)
{
	const void *end = CONST_PTR_OFFSET(data, hdr->size);
	const struct mail_transaction_expunge_guid *mail;
	/* What somebody asks to be expunged. The rest is done when a mailbox is
	   synced, of what is lost, too. */
	const bool request = (hdr->type & MAIL_TRANSACTION_EXTERNAL) == 0;

	switch (hdr->type & MAIL_TRANSACTION_TYPE_MASK) {
	case MAIL_TRANSACTION_EXT_HDR_UPDATE:
		given_scan_header(scan, data, hdr->size);
		break;
	/* MAIL_TRANSACTION_EXPUNGE was Dovecot 1's */
	case MAIL_TRANSACTION_EXPUNGE_GUID:
		for (mail = data; request &&
		     (const void *)(mail + 1) <= end; mail++)
			given_scan_expunged(scan, mail->uid);
		break;
	}
}

static void given_add(struct recall_given *given, const struct given *entry,
		      ARRAY_TYPE(recall_given_copy) *left)
{
	struct recall_given_copy copy = { .dest_uid = entry->first_uid };
	struct seq_range_iter iter;
	unsigned int n = 0;

	seq_range_array_iter_init(&iter, &entry->uids);
	while (seq_range_array_iter_nth(&iter, n++, &copy.uid)) {
		if (seq_range_exists(&entry->expunged, copy.dest_uid))
			seq_range_array_add(&given->uids, copy.uid);
		else
			array_push_back(left, &copy);
		copy.dest_uid++;
	}
}

int recall_given_read(struct recall_given *given, struct mailbox *dest,
		      ARRAY_TYPE(recall_given_copy) *left,
		      const char **error_r)
{
	const uint32_t ext_id = given_ext_register(dest);
	const struct mail_transaction_header *hdr;
	struct mail_transaction_log_view *view;
	struct given_scan scan;
	const struct given *entry;
	const void *data;
	size_t size;

	if (mailbox_sync(dest, 0) < 0) {
		*error_r = t_strdup_printf("Syncing mailbox %s failed: %s",
			mailbox_get_vname(dest),
			mailbox_get_last_internal_error(dest, NULL));
		return -1;
	}
	mail_index_get_header_ext(dest->view, ext_id, &data, &size);
	if (size == 0)
		return 0;
	i_zero(&scan);
	scan.key = given;
	scan.dest_uid_validity =
		mail_index_get_header(dest->view)->uid_validity;
	t_array_init(&scan.given, 4);
	view = mail_transaction_log_view_open(dest->index->log);
	if (mail_transaction_log_view_set_all(view) == 0) {
		while (mail_transaction_log_view_next(view, &hdr, &data) > 0)
			given_scan_record(&scan, hdr, data);
	}
	mail_transaction_log_view_close(&view);
	array_foreach(&scan.given, entry)
		given_add(given, entry, left);
	return 0;
}
