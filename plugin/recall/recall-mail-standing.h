#ifndef RECALL_MAIL_STANDING_H
#define RECALL_MAIL_STANDING_H

#include "seq-range-array.h"

struct mail;
struct mail_user;
struct mailbox;

/* Recalls what arrives and what a standing order (recall-standing.h) is for.

   A message is compared when the transaction that saved it is committed, and
   recalled when nothing depends on it any more: in IMAP as soon as the process
   is idle, elsewhere when the user goes. Whatever fails leaves the message
   where it is; `doveadm recall standing run' tries again. */

void recall_mail_standing_user_created(struct mail_user *user);
/* All plugins know of the user by then. */
void recall_mail_standing_namespaces_created(struct mail_user *user);

/* Whether it's no arrival that the mail is copied into the mailbox: the user
   has it already, or gets it back from the quarantine. */
bool recall_mail_standing_is_own(struct mailbox *box, struct mail *mail);

/* To be called when a transaction that may save mail begins, and when it has
   ended. */
void recall_mail_standing_begin(struct mailbox *box);
void recall_mail_standing_end(struct mailbox *box);

/* Mail was saved and committed: hashes has one for each message
   (recall_index_hash_mail()), in the order in which they were saved, and
   arrived the numbers, from 0 on, of those that come from elsewhere. If the
   order is not that of the UIDs, ordered is FALSE. */
void recall_mail_standing_saved(struct mailbox *box,
				const ARRAY_TYPE(seq_range) *uids,
				const ARRAY_TYPE(uint64_t) *hashes,
				const ARRAY_TYPE(seq_range) *arrived,
				bool ordered);

void recall_mail_standing_deinit(void);

#endif
