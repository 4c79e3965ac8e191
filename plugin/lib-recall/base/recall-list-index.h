#ifndef RECALL_LIST_INDEX_H
#define RECALL_LIST_INDEX_H

struct mailbox;
struct mailbox_list;

/* Dovecot notes each change of a mailbox in the mailbox list index. The first
   time in a session it reads all of the user's directories before, which costs
   more than the recall does; with mailbox_list_index_very_dirty_syncs = yes it
   believes what the index says. To note a change that is enough: it is told to
   look at the directories later if the mailbox is not there. It is not enough
   to know which mailboxes there are. */

/* To be called before the mailbox is synced or changed, and after it: has the
   list index read. Of INBOX
   Dovecot notes nothing there but its GUID and UIDVALIDITY (unless
   mailbox_list_index_include_inbox = yes), which nothing of ours changes: for
   it the list index is not even opened. */
void recall_list_index_begin(struct mailbox *box);
void recall_list_index_end(struct mailbox *box);
/* Has nothing noted there of what is done to the list's mailboxes, but that
   one was made or deleted. Whoever wants to know of one later has to open
   it. */
void recall_list_index_set_silent(struct mailbox_list *list, bool silent);
/* Has the next listing look at the directories, whatever was read before. */
void recall_list_index_forget(struct mailbox_list *list);

#endif
