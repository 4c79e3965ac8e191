#ifndef RECALL_SDBOX_DIR_H
#define RECALL_SDBOX_DIR_H

#include "seq-range-array.h"

struct mailbox;

/* Each message of an sdbox is a file, which Dovecot deletes by its path as it
   was when the mailbox was opened. If somebody renames the mailbox meanwhile
   there is no such file, and Dovecot does not mind: the index has forgotten the
   message, but its file is left, and whoever rebuilds the mailbox
   (force-resync) finds it again. Or the file of that path is a message of
   another mailbox, which has got the name. So the directory is kept open. */

/* Opens the directory of the open mailbox. fd_r is -1 if it's no sdbox, or if
   it can't be opened. Returns FALSE if the mailbox is not there any more, or
   another one is: then nothing must be expunged from it. */
bool recall_sdbox_dir_open(struct mailbox *box, int *fd_r);
/* Called when these messages have been expunged and the mailbox synced: deletes
   the files that Dovecot has left. Returns -1 if some may be left. */
int recall_sdbox_dir_clean(struct mailbox *box, int fd,
			   const ARRAY_TYPE(seq_range) *uids,
			   const char **error_r);

#endif
