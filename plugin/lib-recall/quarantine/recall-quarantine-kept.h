#ifndef RECALL_QUARANTINE_KEPT_H
#define RECALL_QUARANTINE_KEPT_H

#include "guid.h"
#include "recall-mails.h"

struct recall_copies_box;

/* Which copies a recall has in the quarantine, and which of the messages they
   are of it has expunged: at the end these are the same.

   A client may move a message while it is recalled. Between the copying to the
   quarantine and the expunging it is gone from its mailbox: then the copy must
   go as well, since the message is found again elsewhere, or the user has
   deleted it. A client that had read the message before it was expunged brings
   it back after that: then it is expunged once more, but it is the same
   message, of which one copy is enough. By its GUID alone it can't be
   distinguished from a copy that the user has, too; so there are kept as many
   as were seen in one look. */
struct recall_quarantine_kept;

struct recall_quarantine_kept *recall_quarantine_kept_init(void);
void recall_quarantine_kept_deinit(struct recall_quarantine_kept **kept);

/* FALSE if what there is in the quarantine is yet to be read. */
bool
recall_quarantine_kept_is_loaded(const struct recall_quarantine_kept *kept);
/* Copies that there are for the mailbox: an earlier try has left them, unless
   they were known before recall_quarantine_kept_restart(). */
void recall_quarantine_kept_load(struct recall_quarantine_kept *kept,
				 const guid_128_t box_guid,
				 const ARRAY_TYPE(recall_mails_guid) *guids);

/* The quarantine is to be read anew. What this try has expunged already is not
   forgotten: it may come back. */
void recall_quarantine_kept_restart(struct recall_quarantine_kept *kept);

/* What a look has found is to be kept. */
void recall_quarantine_kept_begin(struct recall_quarantine_kept *kept);
/* The look has found these in the mailbox, the box_idx'th one. left_r has those
   for which no earlier try has left a copy. Called for all mailboxes before
   recall_quarantine_kept_want() is. */
void recall_quarantine_kept_see(struct recall_quarantine_kept *kept,
				unsigned int box_idx, const guid_128_t box_guid,
				const ARRAY_TYPE(recall_mails_guid) *guids,
				ARRAY_TYPE(recall_mails_guid) *left_r);
/* Which of those that were left have to be copied to the quarantine. */
void recall_quarantine_kept_want(struct recall_quarantine_kept *kept,
				 unsigned int box_idx,
				 const guid_128_t box_guid,
				 const ARRAY_TYPE(recall_mails_guid) *left,
				 ARRAY_TYPE(seq_range) *uids_r);
/* Of the mailbox's messages those whose copies an earlier try has left for
   it. */
void recall_quarantine_kept_get_left(const struct recall_quarantine_kept *kept,
				     unsigned int box_idx,
				     const guid_128_t box_guid,
				     ARRAY_TYPE(recall_mails_copied) *copied_r);
/* Whether what this look has found is what an earlier try has kept: it has been
   in a mailbox again since. */
bool
recall_quarantine_kept_has_again(const struct recall_quarantine_kept *kept);
/* Something that was recorded may not be kept. */
void recall_quarantine_kept_set_changed(struct recall_quarantine_kept *kept);
/* They were copied. */
void
recall_quarantine_kept_saved(struct recall_quarantine_kept *kept,
			     unsigned int box_idx,
			     const ARRAY_TYPE(recall_mails_copied) *copied);

/* Called when the look's messages have been expunged, or not. came_back_r is
   the number of those that had been expunged before, although they were
   counted; less than 0 if these were others than they seemed to be in the
   mailboxes before. surplus_r has the copies, in the quarantine, of messages
   that were not expunged. */
void recall_quarantine_kept_reconcile(struct recall_quarantine_kept *kept,
				      unsigned int box_idx,
				      const struct recall_copies_box *cbox,
				      int *came_back_r,
				      ARRAY_TYPE(seq_range) *surplus_r);

/* Number of copies for the mailbox. */
unsigned int
recall_quarantine_kept_count(const struct recall_quarantine_kept *kept,
			     const guid_128_t box_guid);
/* How many copies an earlier try has kept of what this look does not find. */
unsigned int
recall_quarantine_kept_earlier(const struct recall_quarantine_kept *kept);
/* TRUE unless all was kept that one look has found, and nothing else: then
   there are as many as was recorded. */
bool
recall_quarantine_kept_is_changed(const struct recall_quarantine_kept *kept);

#endif
