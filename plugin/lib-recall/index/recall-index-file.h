#ifndef RECALL_INDEX_FILE_H
#define RECALL_INDEX_FILE_H

#include "guid.h"

#include <sys/stat.h>

struct mailbox_list;

/* The Message-ID index of a user: one file beside the mailbox list index, since
   the question is whether the user has a message, and opening a user's
   mailboxes one after another is what costs.

   Format (host byte order; another one's version is another one):

     header, table of mailboxes, hashes, UIDs   the base
     block, block, ...                          the tail

   The base is never changed. Its mailboxes' records lie in the order of UIDs,
   the hashes of all (8 octets each) before the UIDs of all (4 each), so that a
   lookup is one loop over an array. Whoever saves or copies mail, or has looked
   through a mailbox, appends blocks. A later record for the same UID takes the
   earlier one's place. When the tail has grown, whoever sees it writes all to a
   new base.

   Locking: appending takes an fcntl() lock on the file, for as long as it takes
   to write a few octets. Reading takes none: what is there of a block that is
   being written fails its checksum. A compaction writes its new file without
   any lock but one against other compactions; only to carry over the blocks
   that have come meanwhile, and for the rename(), it locks the old file.
   Whoever waits for that lock finds that the path is another file's by then,
   and begins anew.

   Crash safety: each block has a checksum over all of it, and reading ends at
   the first one that is wrong; what comes later was written later and counts on
   what came before. So it does not matter in which order the disk got the
   pages. Whoever appends next truncates what is incomplete. A base is on the
   disk (fdatasync) before it is renamed; its header and table have a checksum.
   All that can get lost are records, and that is seen: see recall-index.h.

   It's not one of Dovecot's own mail indexes (as mdbox's map is): what is
   looked up is the hash, so all records have to be gone through, and a struct
   mail_index_record with extension and its modseqs would double them. */

#define RECALL_INDEX_FILE_NAME "dovecot.recall.index"

struct recall_index_rec {
	uint64_t hash;
	uint32_t uid;
};
ARRAY_DEFINE_TYPE(recall_index_rec, struct recall_index_rec);

/* A record that is not in the base: of the mailbox of that number. */
struct recall_index_tail_rec {
	uint64_t hash;
	uint32_t uid, box;
};

/* A mailbox in the index. */
struct recall_index_box {
	guid_128_t guid;
	uint32_t uid_validity;
	/* Hash of its name in the storage, and what its files looked like when
	   all of its messages had a record (recall-index-stamp.h); 0 if that is
	   not known. */
	uint64_t name, stamp;

	/* its records in the base, and the sum of those that compactions have
	   dropped (recall-index-sum.h) */
	uint32_t first, count, dropped;
	/* records in the tail */
	uint32_t tail_count;
	/* it has a record with the hash looked for */
	bool candidate;
	/* the stamp is newer than the names below */
	bool newer;
};

/* The mailboxes of a list. */
struct recall_index_names {
	guid_128_t root;
	/* what its directories looked like when it had these (recall-index-
	   stamp.h) */
	uint64_t stamp;
	/* each with a NUL; those that can't be opened have a "/" before */
	const char *names;
	size_t size;
};

struct recall_index_file {
	pool_t pool;
	int refcount;
	unsigned char *data;
	/* of the file, of which data lacks this much: hashes and UIDs, if they
	   were left there */
	size_t size, left;
	/* where the next block is to be, and where the first one is */
	size_t end, tail;
	/* the file that it was read from, -1 if nothing was left there */
	int fd;
	/* what it looked like, and whether that would tell a later change: not
	   if it had been changed just before */
	struct stat st;
	bool settled;

	/* NULL if they were left in the file */
	const uint64_t *hashes;
	const uint32_t *uids;
	void *records;
	uint32_t count;
	/* later ones of all mailboxes, in the order of the file; not created if
	   there are none */
	ARRAY(struct recall_index_tail_rec) tail_recs;
	ARRAY(struct recall_index_box) boxes;
	ARRAY(struct recall_index_names) lists;
};

/* Goes through a mailbox's records in the order of UIDs, one for each UID
   (recall-index-iter.c). */
struct recall_index_box_iter {
	const struct recall_index_file *file;
	const struct recall_index_box *box;
	ARRAY_TYPE(recall_index_rec) tail;
	unsigned int base_idx, tail_idx;
};

/* Where the list's index is; NULL if it has no place for one (INDEX=MEMORY). */
const char *recall_index_file_get_path(struct mailbox_list *list);

/* Reads the index. One that is missing, or of another version, has nothing in
   it. Returns -1 if it can't be read; file_r is as good as empty then. */
int recall_index_file_read(const char *path, struct recall_index_file **file_r,
			   const char **error_r);
/* The same, but hashes and UIDs of a large base are left in the file. */
int recall_index_file_open(const char *path, struct recall_index_file **file_r,
			   const char **error_r);
/* Whether reading it again would give nothing else. */
bool recall_index_file_is_current(const struct recall_index_file *file,
				  const char *path);
/* Reads what was left in the file. Returns -1 if it can't be read. */
int recall_index_file_load(struct recall_index_file *file);
void recall_index_file_ref(struct recall_index_file *file);
void recall_index_file_unref(struct recall_index_file **file);

/* Adds the numbers of those records of the base that have one of the hashes,
   of count from the first one on. Returns -1 if they can't be read. */
int recall_index_file_search(const struct recall_index_file *file,
			     uint32_t first, uint32_t count, uint64_t hash1,
			     uint64_t hash2, ARRAY_TYPE(uint32_t) *found);
/* Returns the UID of that record of the base, or 0 if it can't be read. */
uint32_t recall_index_file_get_uid(const struct recall_index_file *file,
				   uint32_t idx);

struct recall_index_box *
recall_index_file_find(struct recall_index_file *file, const guid_128_t guid,
		       uint32_t uid_validity);

/* Goes through the mailbox's records that are not in the base, in the order of
   the file. idx is 0 at first. */
bool recall_index_file_tail_next(const struct recall_index_file *file,
				 const struct recall_index_box *box,
				 unsigned int *idx,
				 struct recall_index_rec *rec_r);

/* box may be NULL: it has no records. */
void recall_index_box_iter_init(struct recall_index_box_iter *iter,
				const struct recall_index_file *file,
				const struct recall_index_box *box);
bool recall_index_box_iter_next(struct recall_index_box_iter *iter,
				struct recall_index_rec *rec_r);

/* Whether what was read is in the open file still, at its beginning: FALSE if
   it was compacted since, or is another one. */
bool recall_index_file_is_in(const struct recall_index_file *file, int fd);

/* Add blocks for recall_index_file_append() to dest. */
void recall_index_block_mails(buffer_t *dest, const guid_128_t guid,
			      uint32_t uid_validity,
			      const struct recall_index_rec *recs,
			      unsigned int count);
/* The mailbox has a record for each message when its files look like that. */
void recall_index_block_stamp(buffer_t *dest, const guid_128_t guid,
			      uint32_t uid_validity, uint64_t name,
			      uint64_t stamp);

void recall_index_block_names(buffer_t *dest,
			      const struct recall_index_names *names);

/* Appends the blocks, and compacts the index if it's time. Creates the index if
   there is none. Returns -1 if that failed: then none of them are there. */
int recall_index_file_append(struct mailbox_list *list, const char *path,
			     const buffer_t *blocks, const char **error_r);
/* The same while a mailbox is locked: is not waited for long, and does not
   compact. is_long_r says that it's time to. */
int recall_index_file_append_only(struct mailbox_list *list, const char *path,
				  const buffer_t *blocks, bool *is_long_r,
				  const char **error_r);
/* The same for blocks that are true only after what was read as file. Returns
   1, or 0 if the index is another one now: then nothing was done. */
int recall_index_file_append_to(const struct recall_index_file *file,
				struct mailbox_list *list, const char *path,
				const buffer_t *blocks, const char **error_r);

/* Returns FALSE for records that nobody needs any more. uid 0 asks for the
   mailbox as such. */
typedef bool recall_index_keep_t(const struct recall_index_box *box,
				 uint32_t uid, void *context);
/* Writes all to a new base. If somebody else is just doing so, nothing is
   done. keep may be NULL. */
int recall_index_file_compact(struct mailbox_list *list, const char *path,
			      recall_index_keep_t *keep, void *context,
			      const char **error_r);

#endif
