#ifndef RECALL_INDEX_FENCE_H
#define RECALL_INDEX_FENCE_H

struct mail_index;
struct mail_index_view;
struct mail_index_transaction;

/* The fence is a UID in the header of a mailbox's dovecot.index: records of the
   user's index for UIDs below it are this mailbox's. It moves in the
   transaction that saves the messages. So it goes back with the mailbox when an
   old copy of that is put back, and records of UIDs which will be given out a
   second time lie beyond it. */

/* 1 if there is none yet. It is the newest one that was read, whatever the view
   has. */
uint32_t recall_index_fence_get(struct mail_index_view *view);
void recall_index_fence_set(struct mail_index_transaction *trans, uint32_t uid);
/* Moves the fence, in a transaction of its own. Returns -1 if that can't be
   written; the error is in the index. */
int recall_index_fence_move(struct mail_index *index, uint32_t uid);

/* Drops the records that lay in each mailbox's dovecot.index before there was
   one index a user. Returns 1 if there were any, 0 if not, -1 on errors. */
int recall_index_fence_drop_old(struct mail_index *index);

#endif
