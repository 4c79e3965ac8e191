#ifndef DOVEADM_RECALL_EXPORT_SOURCE_H
#define DOVEADM_RECALL_EXPORT_SOURCE_H

#include "seq-range-array.h"
#include "recall-quarantine-read.h"
#include "recall-quarantine-record.h"
#include "recall-quarantine.h"

/* A mailbox of the quarantine, opened, with what it had then. */
struct recall_export_box {
	struct mailbox *box;
	guid_128_t guid;
	ARRAY_TYPE(seq_range) uids;
};

/* All that there is of a user's. */
struct recall_export_source {
	/* of the record */
	pool_t pool;
	/* there is a record */
	bool known;
	struct recall_quarantine_record record;
	ARRAY(struct recall_export_box) boxes;
};

/* Finds it while nobody recalls, puts back or purges, and opens it: half of it
   must not pass for the whole. Reading it may take long, and who is in the way
   then is none of theirs: what they take away can't be read, which is an
   error.

   mailbox_guid: what is in this mailbox alone, without a lock; NULL for all.
   Returns 0 if there is nothing, -1 on errors. The caller frees it unless that
   is an error; some of it is on the data stack. */
int recall_export_source_init(struct recall_quarantine *q,
			      const char *recall_id,
			      const uint8_t *mailbox_guid,
			      struct recall_export_source *source_r,
			      const char **error_r);
void recall_export_source_deinit(struct recall_export_source *source);

#endif
