#ifndef RECALL_COPIES_PRIVATE_H
#define RECALL_COPIES_PRIVATE_H

/* What finding copies and expunging them share. */

struct mailbox;
struct recall_copies;
struct recall_copies_box;

/* The error is the mailbox's, unless there was one before. */
void recall_copies_failed(struct recall_copies *copies, struct mailbox *box,
			  const char *what);
/* To sync a mailbox that will be changed may be to change it: it's then that
   Dovecot adds up the sizes of new messages. */
int recall_copies_sync(struct recall_copies_box *cbox, bool expunged);
/* What was deleted from the mailbox, NULL if nothing was. pass: in which it is
   to be expunged, 0 if it is not known. */
struct recall_copies_expunged *
recall_copies_get_expunged(const struct recall_copies *copies,
			   unsigned int pass,
			   const struct recall_copies_box *cbox);

#endif
