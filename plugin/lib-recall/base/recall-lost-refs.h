#ifndef RECALL_LOST_REFS_H
#define RECALL_LOST_REFS_H

struct mailbox;

/* The map of an mdbox counts in how many mailboxes a message is. Where the
   index of a mailbox alone was lost Dovecot begins an empty one, and messages
   are counted that no mailbox has. doveadm force-resync puts them into the
   mailbox that they were saved to.

   So does a process leave them that is killed while it saves or copies. They
   say nothing unless an index is newer than the mailbox's directory. */

/* Returns 1 if the open mailbox of an mdbox has an index that was begun after
   the mailbox was made, and the storage has messages that are in no mailbox of
   the user; 0 if not, and -1 if that can't be said; the error is the
   mailbox's. What it finds costs a look at the indexes of all mailboxes, with
   the map locked. */
int recall_lost_refs_check(struct mailbox *box);

#endif
