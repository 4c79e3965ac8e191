#ifndef RECALL_SYNC_H
#define RECALL_SYNC_H

struct mailbox;

/* As mailbox_sync(), of a mailbox from which something has just been expunged.
   Where Dovecot keeps the sum of its messages' sizes (for STATUS SIZE, and
   quotas that count) it would go on to add what has come since they were added
   up last: a second time that it makes, locks and deletes a file. As after a
   delivery that is left to whoever syncs the mailbox next, or asks for it. */
int recall_sync_expunged(struct mailbox *box);

#endif
