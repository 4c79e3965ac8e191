#ifndef RECALL_LOST_FILES_H
#define RECALL_LOST_FILES_H

struct mailbox;

/* With dbox the index is the mailbox. Where it was lost, as with a tmpfs that
   INDEX is on, Dovecot 2.3's sdbox and both series' mdbox begin an empty one,
   and show nothing of what is in the files until doveadm force-resync. Nobody
   must say then that a message is not there.

   An sdbox has given out no UID as high as that of such a file; the next
   message that would get it has Dovecot rebuild the mailbox. The map of an
   mdbox has no record of the file. Whoever is just saving, or was killed while
   saving, has files like that, too, but they are newer than the index. */

/* Returns -1 if the open mailbox has messages in files that are older than its
   index and not in it, or if that can't be said; the error is the mailbox's. It
   costs the reading of a directory. */
int recall_lost_files_check(struct mailbox *box);

#endif
