#ifndef RECALL_MAIL_LOG_H
#define RECALL_MAIL_LOG_H

struct mailbox;

/* What is in a mailbox's dovecot.index.log is gone through by each delivery.
   With dbox it is so twice more, once to see whether mail was expunged and once
   to see what clients want changed, from where a sync has got to: and that is
   written down only when a client has wanted something. In a mailbox of which
   none has, whose log begins with how it was made, it is all of the log, with
   what others and the index have put there. So what has been gone through is
   written down for those, once. */

/* Whether a delivery into the open mailbox has much to go through. To be asked
   before its messages are committed. */
bool recall_mail_log_is_behind(struct mailbox *box);
/* Writes down how far the log was gone through, unless there is something to
   be done about the mailbox. */
void recall_mail_log_catch_up(struct mailbox *box);

#endif
