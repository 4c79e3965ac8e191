#ifndef RECALL_QUARANTINE_READ_H
#define RECALL_QUARANTINE_READ_H

#include "recall-quarantine.h"

/* What the quarantine has of a recall, by its record. */

/* Adds the mailboxes that have copies by the record and were not listed:
   Dovecot lists nothing where it may not, or can't, look. Adds none of what
   was restored. */
void
recall_quarantine_add_unlisted(struct recall_quarantine *q, pool_t pool,
			       const struct recall_quarantine_record *record,
			       ARRAY_TYPE(recall_quarantine_box) *boxes);
/* Called with each mailbox that has copies of a recall, and with their UIDs.
   Returns -1 to stop. */
typedef int
recall_quarantine_read_callback_t(const struct recall_quarantine_box *qbox,
				  struct mailbox *box,
				  const ARRAY_TYPE(seq_range) *uids,
				  void *context, const char **error_r);
/* Reads all copies that the quarantine has of the recall that the record is of.
   Mailboxes that are gone meanwhile are left out. Returns 0 if ok, -1 on
   errors. */
int recall_quarantine_read(struct recall_quarantine *q,
			   const struct recall_quarantine_record *record,
			   recall_quarantine_read_callback_t *callback,
			   void *context, const char **error_r);
/* Counts these copies. */
int recall_quarantine_count(struct recall_quarantine *q,
			    const struct recall_quarantine_record *record,
			    unsigned int *copies_r, const char **error_r);

#endif
