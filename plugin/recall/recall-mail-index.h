#ifndef RECALL_MAIL_INDEX_H
#define RECALL_MAIL_INDEX_H

struct mailbox;

/* Keeps the mailbox's Message-ID index as mail is saved and copied into it,
   in the same transactions (see recall-index.h). */
void recall_mail_index_mailbox_allocated(struct mailbox *box);

#endif
