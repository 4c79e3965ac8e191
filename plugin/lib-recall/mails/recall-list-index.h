#ifndef RECALL_LIST_INDEX_H
#define RECALL_LIST_INDEX_H

struct mailbox_list;

/* Dovecot notes each change of a mailbox in the mailbox list index. The first
   time in a session it reads all of the user's directories before, which costs
   more than the recall does; with mailbox_list_index_very_dirty_syncs = yes it
   believes what the index says. To note a change that is enough: it is told to
   look at the directories later if the mailbox is not there. It is not enough
   to know which mailboxes there are. */

/* Has the list index read as it is, if this session has not done so yet. */
void recall_list_index_read(struct mailbox_list *list);
/* Has the next listing look at the directories, whatever was read before. */
void recall_list_index_forget(struct mailbox_list *list);

#endif
