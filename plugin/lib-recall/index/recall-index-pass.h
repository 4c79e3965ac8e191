#ifndef RECALL_INDEX_PASS_H
#define RECALL_INDEX_PASS_H

#include "guid.h"
#include "seq-range-array.h"
#include "recall-index.h"
#include "recall-index-fence.h"
#include "recall-index-file.h"
#include "recall-index-sum.h"

/* One look at all messages of a mailbox, by their records or by their
   headers. */
struct recall_index_pass {
	struct mailbox *box;
	/* NULL if there is no index */
	const char *path;
	/* has read the index before, or NULL */
	struct recall_index_lookup *lookup;
	struct recall_index_file *file;
	/* the mailbox in it, NULL if it is new */
	struct recall_index_box *rbox;
	guid_128_t guid;
	uint32_t uid_validity, next_uid;
	struct recall_index_fence fence;
	/* of the index as it was read and the records to write */
	struct recall_index_sum sum;
	/* what the directories looked like before the mailbox was synced */
	uint64_t dirs;

	/* hash searched for, RECALL_INDEX_HASH_UNKNOWN if none */
	uint64_t search_hash;
	ARRAY_TYPE(seq_range) *uids;
	/* read all headers, whatever the records say */
	bool verify;
	/* what is found will be expunged */
	bool expunge;
	struct recall_index_stats stats;

	/* messages to read, and what their records say */
	ARRAY_TYPE(recall_index_rec) unread;
	/* records to write */
	ARRAY_TYPE(recall_index_rec) recs;
	bool failed:1;
	/* It was just now looked for files that the mailbox does not know. */
	bool checked:1;
	/* Messages were gone when they were to be read. If one of them comes
	   back it has no record. */
	bool passed_over:1;
	/* the records below the fence are others than those that it was moved
	   over: all headers are read */
	bool doubtful:1;
	bool write_failed:1;
	/* there are records that were not in the index when it was read */
	bool appended:1;
};

/* Judges all messages. The errors of reads are in the storage; that something
   could not be written was logged. */
int recall_index_pass_run(struct recall_index_pass *pass);

/* The parts of it. */

/* Has box->index know of all mail that there is. */
int recall_index_pass_open(struct recall_index_pass *pass);
/* Opens the index, if there is one. */
void recall_index_pass_load(struct recall_index_pass *pass);
/* Reads all of the index. Without it all headers are read. */
void recall_index_pass_load_records(struct recall_index_pass *pass);
/* Whether the records below the fence are those that it was moved over. */
bool recall_index_pass_is_within(const struct recall_index_pass *pass);
/* The hash of the message, if its record can be believed. */
uint64_t recall_index_pass_hash(struct recall_index_pass *pass,
				struct recall_index_box_iter *iter,
				struct recall_index_rec *rec, uint32_t uid);
/* Goes on to the record of the UID, or to the next one. Returns whether there
   is one of it. */
bool recall_index_pass_reach(struct recall_index_box_iter *iter,
			     struct recall_index_rec *rec, uint32_t uid);

/* What it writes: recall-index-pass-write.c */

/* Writes the records down. The messages below next_uid have all been judged, so
   the fence can move there. */
void recall_index_pass_flush(struct recall_index_pass *pass, uint32_t next_uid);
/* All messages have records: says so, if the mailbox still is as it was. */
void recall_index_pass_stamp(struct recall_index_pass *pass);
/* Logs it, once. */
void recall_index_pass_write_failed(struct recall_index_pass *pass,
				    const char *error);

#endif
