#ifndef RECALL_INDEX_FENCE_H
#define RECALL_INDEX_FENCE_H

struct mail_index;
struct mail_index_view;
struct mail_index_transaction;

/* The fence is a UID in the header of a mailbox's dovecot.index: records of the
   user's index for UIDs below it are this mailbox's. It moves in the
   transaction that saves the messages. So it goes back with the mailbox when an
   old copy of that is put back, and records of UIDs which will be given out a
   second time lie beyond it.

   With it goes a sum of these records (recall-index-sum.h). A user's index that
   was put back by itself, in a copy from before the mailbox was, has records of
   other messages below the fence: they have another sum, and none of them is
   believed. */
struct recall_index_fence {
	uint32_t uid;
	/* RECALL_INDEX_SUM_UNKNOWN if it was written by a version that had no
	   sum: then records are believed without it, until a pass has written
	   one */
	uint32_t sum;
};

/* UID 1 if there is none yet. It is the newest one that was read, whatever the
   view has. */
void recall_index_fence_get(struct mail_index_view *view,
			    struct recall_index_fence *fence_r);
void recall_index_fence_set(struct mail_index_transaction *trans,
			    const struct recall_index_fence *fence);
/* Moves the fence, in a transaction of its own. Returns -1 if that can't be
   written; the error is in the index. */
int recall_index_fence_move(struct mail_index *index,
			    const struct recall_index_fence *fence);

/* Drops the records that lay in each mailbox's dovecot.index before there was
   one index a user. Returns 1 if there were any, 0 if not, -1 on errors. */
int recall_index_fence_drop_old(struct mail_index *index);

#endif
