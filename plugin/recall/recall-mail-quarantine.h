#ifndef RECALL_MAIL_QUARANTINE_H
#define RECALL_MAIL_QUARANTINE_H

struct mailbox;
struct mailbox_list;

/* Keep the quarantine from everybody but doveadm: hidden=yes and list=no in its
   namespace don't keep a client out that knows the prefix. The storage's own
   maintenance still gets everywhere. */
void recall_mail_quarantine_list_created(struct mailbox_list *list);
void recall_mail_quarantine_mailbox_allocated(struct mailbox *box);

#endif
