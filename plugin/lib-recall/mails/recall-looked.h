#ifndef RECALL_LOOKED_H
#define RECALL_LOOKED_H

struct mailbox;

/* Mailboxes are searched one after the other. A message that is moved meanwhile
   from one that is yet to be searched to one that was searched already is
   missed. This keeps account of what was searched, so that a search that finds
   nothing can be believed.

   Between two looks at all mailboxes, let no message have come and gone in any
   of them, and let none of those that came and stayed be the one. Then at the
   moment when the first look ended, no mailbox had it. That nothing came and
   went is seen by the UIDs; for a mailbox whose index was not written to since
   before the first look nothing has to be seen. */
struct recall_looked;

struct recall_looked *recall_looked_init(pool_t pool);

/* A look at all mailboxes begins. */
void recall_looked_begin(struct recall_looked *looked);
/* Returns TRUE if the mailbox need not be searched in this look, since an
   earlier one found nothing in it and it has not changed. Otherwise a mailbox
   that has changed is opened: what Dovecot's mailbox list index knows of it is
   not enough. */
bool recall_looked_skip(struct recall_looked *looked, struct mailbox *box);
/* The index is sure that the mailbox has nothing; its log was last written to
   at that time. Returns FALSE if it has to be searched nevertheless. */
bool recall_looked_pass_over(struct recall_looked *looked, const char *vname,
			     time_t changed);
/* The mailbox was searched. found: something that must be found again. */
void recall_looked_add(struct recall_looked *looked, struct mailbox *box,
		       bool found);
/* A message was gone before it could be judged. */
void recall_looked_set_uncertain(struct recall_looked *looked);
/* Returns TRUE if nothing can have been missed in this look. */
bool recall_looked_is_certain(const struct recall_looked *looked);

#endif
