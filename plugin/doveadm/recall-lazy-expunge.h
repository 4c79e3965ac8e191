#ifndef RECALL_LAZY_EXPUNGE_H
#define RECALL_LAZY_EXPUNGE_H

struct mail_user;
struct recall_copies;
struct recall_criteria;

/* Where the lazy_expunge plugin is on, expunged mail moves to where the user
   may get it back from. What went to the quarantine is safe without that: this
   deletes the message there, too. Failures are told in copies->error. */
void recall_lazy_expunge(struct mail_user *user,
			 const struct recall_criteria *criteria,
			 struct recall_copies *copies);

#endif
