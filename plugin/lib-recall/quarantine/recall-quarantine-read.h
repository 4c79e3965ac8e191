#ifndef RECALL_QUARANTINE_READ_H
#define RECALL_QUARANTINE_READ_H

#include "recall-quarantine.h"

struct recall_quarantine_record_box;

/* What the quarantine has of a recall, by its record. */

/* Adds the mailboxes that have copies by the record and were not listed:
   Dovecot lists nothing where it may not, or can't, look. Adds none of what
   was restored. */
void
recall_quarantine_add_unlisted(struct recall_quarantine *q, pool_t pool,
			       const struct recall_quarantine_record *record,
			       ARRAY_TYPE(recall_quarantine_box) *boxes);
/* Whether these are mailboxes that are not there any more, but for directories
   in which there is nothing: of a mailbox with mailboxes below it dsync leaves
   that when it deletes them. */
bool recall_quarantine_boxes_are_empty(struct recall_quarantine *q,
	const ARRAY_TYPE(recall_quarantine_box) *boxes);
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

/* Called when the count copies that src has, a mailbox of the quarantine, are
   in dest. Returns 1 if that is all, or what is left of it, 0 if src may have
   more of which its index does not know, -1 on errors. The index of an mdbox
   may have lost messages that are in the storage still: whoever rebuilds it
   finds them, if their mailbox is not gone by then, and may put them into dest,
   where they were first. (Others have been looked for by
   recall_mails_get_count().) rbox is NULL if nothing was recorded. */
int recall_quarantine_check_count(
	const struct recall_quarantine_record *record,
	const struct recall_quarantine_record_box *rbox, struct mailbox *src,
	unsigned int count, struct mailbox *dest, const char **error_r);

#endif
