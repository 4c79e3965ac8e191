#ifndef RECALL_SDBOX_LEFT_H
#define RECALL_SDBOX_LEFT_H

#include "seq-range-array.h"

struct mailbox;

/* Messages that are copied to an sdbox get files, then these get the names of
   UIDs, then the index is written. Whoever is killed in between, or fails as
   the mailbox is renamed (Dovecot deletes the files by the path that it had),
   leaves files that no index knows of. The next one to save something comes
   over them: that fails, and the mailbox is rebuilt, with these messages, but
   without their flags.

   Deletes such files of dest if they are links to these messages of src, one
   each, which nobody else may expunge meanwhile. If there is any other file
   that the index does not know of, as where the index was lost, all of them
   stay. Both mailboxes are open, dest has just been synced. */
void recall_sdbox_left_delete(struct mailbox *dest, struct mailbox *src,
			      const ARRAY_TYPE(seq_range) *uids);

#endif
