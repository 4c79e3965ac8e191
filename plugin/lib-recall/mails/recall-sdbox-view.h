#ifndef RECALL_SDBOX_VIEW_H
#define RECALL_SDBOX_VIEW_H

struct mailbox;

/* Dovecot 2.3 keeps a view of an sdbox's index open if it can't commit what it
   syncs, as when the mailbox is renamed at that moment, and panics when it
   closes the index: in the next mailbox that is opened. Called when something
   has failed in the mailbox; closes that view. */
void recall_sdbox_view_close(struct mailbox *box);

#endif
