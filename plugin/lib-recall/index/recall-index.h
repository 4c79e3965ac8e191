#ifndef RECALL_INDEX_H
#define RECALL_INDEX_H

#include "seq-range-array.h"
#include "recall-message-id.h"

struct mail;
struct mailbox;
struct mailbox_transaction_context;
struct mail_index;
struct mail_index_view;

/* The Message-ID index of a mailbox: an extension of dovecot.index with a
   64-bit hash of the Message-ID for each message. It lives and dies with the
   message's index record: whatever drops or rebuilds dovecot.index drops the
   hashes too, and the next search fills them in again. It is a filter: two
   Message-IDs may share a hash, so the header decides. */
#define RECALL_INDEX_EXT_NAME "recall-msgid"
/* Increased whenever the meaning of records changes. */
#define RECALL_INDEX_VERSION 2

/* The message was not looked at yet. Records that nobody wrote read as 0. */
#define RECALL_INDEX_HASH_UNKNOWN ((uint64_t)0)
/* The message has no Message-ID. */
#define RECALL_INDEX_HASH_NONE ((uint64_t)1)
/* Its Message-ID fields have several names: only they can tell. */
#define RECALL_INDEX_HASH_MANY ((uint64_t)2)
/* Hashes of Message-IDs start here. */
#define RECALL_INDEX_HASH_FIRST ((uint64_t)3)

/* The extension's header. Only catch-up moves highest_uid: saves do not know
   their UID yet. It tells what was gone through, for people; what is known of
   a message is what its record says. */
struct recall_index_header {
	uint16_t version;
	uint16_t flags; /* 0 */
	uint32_t highest_uid;
};

/* What catch-up and verification found in one mailbox, in messages. */
struct recall_index_stats {
	uint32_t messages;
	/* had a record already */
	uint32_t indexed;
	/* had none, have one now */
	uint32_t added;
	/* had one that the header contradicts (verification only) */
	uint32_t wrong;
};

/* What the index knows of a mailbox, for support. */
struct recall_index_info {
	/* the extension exists, in a layout and version that we use */
	bool usable;
	struct recall_index_header hdr;
	/* octets the extension takes in each message's record */
	unsigned int record_size, record_align;
};

/* Called for each message of the mailbox. indexed is what the record says,
   values the Message-ID headers (NULL-terminated). */
typedef void recall_index_callback_t(uint32_t uid, uint64_t indexed,
				     const char *const *values, void *context);

/* The hash of a Message-ID. */
uint64_t recall_index_hash(const struct recall_message_id *id);
/* The record for a message whose Message-ID headers are these, as
   mail_get_headers() gives them. */
uint64_t recall_index_hash_headers(const char *const *values);

/* The record for a mail. The header does not enter
   dovecot.index.cache and Dovecot does not take it for one that clients want.
   Returns RECALL_INDEX_HASH_UNKNOWN if it can't be read; the error is in the
   mail's storage. */
uint64_t recall_index_hash_mail(struct mail *mail);

/* Finds the messages that may have the Message-ID, messages that came without
   our mail plugin included: what the index does not know is read from
   dovecot.index.cache or the message, and remembered. Nothing is lost if it
   cannot be remembered (full disk, read-only index).

   The mailbox needs to be neither open nor synced: it is opened unless
   Dovecot's mailbox list index says that it is empty, and synced only if its
   storage may hold mail that its index does not know of, or if others have
   changed it since this process opened it. If it is open then, all messages of
   box->view were judged, and no others; if it is not, it is empty.

   With verify no record is believed: all headers are read, and records that are
   wrong are put right.

   UIDs are added to uids_r, which the caller has created. Returns 0 if all
   messages could be judged. Returns -1 on errors, which are in the mailbox's
   storage; uids_r then has what was found so far. */
int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      bool verify, ARRAY_TYPE(seq_range) *uids_r);

/* Opens, syncs and catches up the mailbox: fills in the records of messages
   that have none. Counts are added to stats. With verify all messages' headers
   are read and wrong records are put right. Returns 0 or, if something could
   not be read or written, -1; the error is in the mailbox's storage. */
int recall_index_update(struct mailbox *box, bool verify,
			struct recall_index_stats *stats);
/* Opens and syncs the mailbox and calls back for each message. Writes
   nothing. Returns -1 if something could not be read. */
int recall_index_dump(struct mailbox *box, recall_index_callback_t *callback,
		      void *context);
/* The mailbox must be open. */
void recall_index_get_info(struct mailbox *box,
			   struct recall_index_info *info_r);

/* The record of a message: RECALL_INDEX_HASH_UNKNOWN if there is none. */
uint64_t recall_index_lookup(struct mail_index_view *view, uint32_t seq);
/* Writes the record of a message that is being saved or copied, in the same
   transaction. Does nothing if the mailbox's extension is not as we want it:
   catch-up will make it anew. */
void recall_index_save(struct mailbox_transaction_context *t, uint32_t seq,
		       uint64_t hash);

#endif
