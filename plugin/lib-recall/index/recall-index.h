#ifndef RECALL_INDEX_H
#define RECALL_INDEX_H

#include "guid.h"
#include "seq-range-array.h"
#include "recall-message-id.h"

struct mail;
struct mailbox;
struct mailbox_list;
struct mailbox_transaction_context;

/* The Message-ID index of a user: a 64-bit hash for each message, beside the
   mailbox list index (recall-index-file.h). Two Message-IDs may share a hash,
   and records may be of messages that have gone: a record is a hint, and the
   header decides. That a message has no record is no proof either. What is
   believed, and why nothing is missed:

   - A mailbox is not opened if the index has a stamp of it and its files look
     like that still (recall-index-stamp.h). The stamp was written after records
     for all messages were, in the same file, and is valid only if they are: it
     is not written if another file has taken its place meanwhile.
   - A mailbox that has changed is opened. Each of its messages needs a record,
     or its header is read. That covers what came without our mail plugin or was
     not written down by it (a crash, a full disk), and an index that was lost.
     It does not depend on how far those who save are.
   - A record counts only below the mailbox's fence (recall-index-fence.h), so
     the record of one message is not taken for that of another one with the
     same UID, where a mailbox was put back from a backup and got new mail. The
     fence moves over a message after its record was written, never before.
   - With the fence the mailbox has a sum of the records below it. If the index
     has others, as an old copy of it may, none of them counts.
   - Mailboxes are known by GUID and UIDVALIDITY.

   Where the index can't be kept (INDEX=MEMORY, a file system that is full or
   read-only), mailboxes are opened and headers are read. */

/* The message was not looked at yet. Never written. */
#define RECALL_INDEX_HASH_UNKNOWN ((uint64_t)0)
/* The message has no Message-ID. */
#define RECALL_INDEX_HASH_NONE ((uint64_t)1)
/* Its Message-ID fields have several names: only they decide. */
#define RECALL_INDEX_HASH_MANY ((uint64_t)2)
/* Hashes of Message-IDs start here. */
#define RECALL_INDEX_HASH_FIRST ((uint64_t)3)

/* What a mailbox is known by. */
struct recall_index_id {
	guid_128_t guid;
	uint32_t uid_validity;
};
ARRAY_DEFINE_TYPE(recall_index_id, struct recall_index_id);

/* What catch-up and verification found in one mailbox, in messages. */
struct recall_index_stats {
	uint32_t messages;
	/* had a record already */
	uint32_t indexed;
	/* had none, have one now */
	uint32_t added;
	/* had one that the header contradicts (verification only) */
	uint32_t wrong;
	/* the mailbox */
	struct recall_index_id id;
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

/* The record for a mail. The header does not enter dovecot.index.cache and
   Dovecot does not take it for one that clients want. Whether what else is read
   of the mail does can't be asked for: uncached says that it does not (see
   set_uid_cache_updates()), and so it stays.
   Returns RECALL_INDEX_HASH_UNKNOWN if it can't be read; the error is in the
   mail's storage. So it does if there is none within what Dovecot looks at of a
   header that may be longer. */
uint64_t recall_index_hash_mail(struct mail *mail, bool uncached);

enum recall_index_find_flags {
	/* No record is believed: all headers are read, and records that are
	   wrong are put right. */
	RECALL_INDEX_FIND_VERIFY = 0x01,
	/* What is found will be expunged at once: what the mailbox looks like
	   until then is not noted. */
	RECALL_INDEX_FIND_EXPUNGE = 0x02,
};

/* Asks the index of the list's mailboxes for an id. */
struct recall_index_lookup *
recall_index_lookup_init(struct mailbox_list *list,
			 const struct recall_message_id *id);
/* Asks once more, later. The index is not read again: a mailbox that still
   looks as the stamp says has nothing but what was read, whatever has become of
   the index since, and one that has changed may have the id. */
void recall_index_lookup_again(struct recall_index_lookup *lookup);
struct mailbox_list *
recall_index_lookup_get_list(const struct recall_index_lookup *lookup);
/* Whether it is worth while to open the mailbox: FALSE if it is certain that it
   does not have the id; changed_r is the time then when its dovecot.index.log
   was last written to. name is the mailbox's in the list's storage. */
bool recall_index_lookup_may_have(struct recall_index_lookup *lookup,
				  const char *name, time_t *changed_r);
/* What the mailbox's files look like now (recall-index-stamp.h), 0 if that
   can't be known. */
uint64_t recall_index_lookup_get_stamp(struct recall_index_lookup *lookup,
				       const char *name);
/* What it has read, with a reference to it, if the index is still like that;
   NULL if it has to be read. */
struct recall_index_file *
recall_index_lookup_get_file(struct recall_index_lookup *lookup);
/* The names of all mailboxes that can be opened, in the list's storage. They
   live as long as the lookup. Returns FALSE if they have to be asked for. */
bool recall_index_lookup_get_names(struct recall_index_lookup *lookup,
				   ARRAY_TYPE(const_string) *names_r);
/* Adds the names of all mailboxes one by one, and then that these are all. */
void recall_index_lookup_add_name(struct recall_index_lookup *lookup,
				  const char *name, bool selectable);
void recall_index_lookup_names_added(struct recall_index_lookup *lookup);
void recall_index_lookup_deinit(struct recall_index_lookup **lookup);

/* Finds the messages that may have the Message-ID, messages that came without
   our mail plugin included: what the index does not know is read from
   dovecot.index.cache or the message, and remembered. Nothing is lost if it
   cannot be remembered (full disk, read-only index).

   lookup is one of the mailbox's list, or NULL: what it has read is not read
   again if it has not changed since.

   The mailbox needs to be neither open nor synced. It is opened, whatever the
   index says: ask recall_index_lookup_may_have() before. All messages of
   box->view were judged then, and no others.

   UIDs are added to uids_r, which the caller has created. Returns 0 if all
   messages could be judged, 1 if some were gone before. Returns -1 on errors,
   which are in the mailbox's storage; uids_r then has what was found so far. */
int recall_index_find(struct mailbox *box, const struct recall_message_id *id,
		      enum recall_index_find_flags flags,
		      struct recall_index_lookup *lookup,
		      ARRAY_TYPE(seq_range) *uids_r);

/* Opens, syncs and catches up the mailbox: adds the records of messages that
   have none, and drops those of messages that have gone. stats_r has the
   counts. With verify all messages' headers are read and wrong records are put
   right. Returns 0 or, if something could not be read or written, -1; the error
   is in the mailbox's storage. */
int recall_index_update(struct mailbox *box, bool verify,
			struct recall_index_stats *stats_r);
/* Drops what the index has of other mailboxes than these (struct
   recall_index_id): they have been deleted. */
void recall_index_drop_others(struct mailbox_list *list,
			      const ARRAY_TYPE(recall_index_id) *ids);
/* Opens and syncs the mailbox and calls back for each message. Writes
   nothing. Returns -1 if something could not be read. */
int recall_index_dump(struct mailbox *box, recall_index_callback_t *callback,
		      void *context);

/* To be called with the UIDs given out when a transaction that saves messages
   is being committed: adds their records, and moves the fence over them. guid
   is the mailbox's, hashes has one for each UID, in their order. If not all of
   that can be done, none is: catch-up will do it. Returns TRUE if the index
   should be compacted, when the transaction has been committed. */
bool recall_index_save(struct mailbox_transaction_context *t,
		       const guid_128_t guid,
		       const ARRAY_TYPE(uint64_t) *hashes);
void recall_index_compact(struct mailbox *box);

#endif
