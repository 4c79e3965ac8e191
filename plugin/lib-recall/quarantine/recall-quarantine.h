#ifndef RECALL_QUARANTINE_H
#define RECALL_QUARANTINE_H

#include "guid.h"

struct mail_user;
struct mail_namespace;
struct mailbox;
struct file_lock;
struct recall_copies;
struct recall_quarantine_kept;
struct recall_quarantine_record;

/* Where recalled mail is kept for a while: a private namespace of its own that
   the setting recall_quarantine names by its prefix. The mailbox

	<prefix><recall id>

   holds records (see recall-quarantine-record.h) of what was done, and

	<prefix><recall id><separator><GUID of the original mailbox>

   the copies that were in that mailbox. So everything that a restore needs is
   in mails and mailbox names and survives any rebuild of indexes.

   A copy is expunged from its mailbox only when the quarantine's transaction
   is committed, and the quarantine's copy is deleted only when the one in the
   mailbox is: whenever the process is stopped, the message is in one of them,
   if not in both. Doing the same once more finishes what was begun. */
struct recall_quarantine {
	struct mail_user *user;
	struct mail_namespace *ns;
	struct file_lock *lock;
	/* How long to wait for it, in seconds. */
	unsigned int lock_secs;
	/* NULL before recall_quarantine_add() */
	struct recall_quarantine_kept *kept;
	/* a record tells that copies are there which an earlier try has kept */
	bool recorded_again;
	/* an mdbox may have more copies than its index knows of */
	bool lacking;
	/* a record is of copies that may not have been made yet */
	bool unfinished;
	/* Copies are about to be added, and those that are missed then are
	   looked for. Otherwise it's an error if the index of the records was
	   lost (recall-lost-files.h). */
	bool adding;
};

/* A mailbox of the quarantine. */
struct recall_quarantine_box {
	const char *vname;
	const char *recall_id;
	/* The original mailbox; empty for the mailbox of records. */
	guid_128_t guid;
	/* Only its children are there. */
	bool nonexistent;
};
ARRAY_DEFINE_TYPE(recall_quarantine_box, struct recall_quarantine_box);

/* Finds the user's quarantine. Returns 1 if there is one, 0 if it's off, -1 if
   there is none where the settings say. */
int recall_quarantine_init(struct mail_user *user,
			   struct recall_quarantine *q_r,
			   const char **error_r);
/* Keeps others from changing the quarantine until recall_quarantine_deinit().
   Returns -1 if somebody else has held the lock for too long. */
int recall_quarantine_lock(struct recall_quarantine *q, const char **error_r);
/* The same for what looks for something in there. Returns 1 if it's locked, 0
   if there is no directory yet, and so nothing in it: none is made then. */
int recall_quarantine_lock_old(struct recall_quarantine *q,
			       const char **error_r);
/* Unlocks it before recall_quarantine_deinit() does. */
void recall_quarantine_unlock(struct recall_quarantine *q);
/* Also harmless if nothing was found. */
void recall_quarantine_deinit(struct recall_quarantine *q);

/* Lists mailboxes of one recall, or of all if recall_id is NULL. */
int recall_quarantine_list(struct recall_quarantine *q, pool_t pool,
			   const char *recall_id,
			   ARRAY_TYPE(recall_quarantine_box) *boxes_r,
			   const char **error_r);
/* Returns -1 if the directory can't be read: then Dovecot lists nothing of it,
   and says nothing of that. */
int recall_quarantine_check_listed(struct recall_quarantine *q,
				   const char **error_r);

/* Adds the number of messages in a mailbox. It's no error if it's gone. */
int recall_quarantine_box_count(struct recall_quarantine *q,
				const struct recall_quarantine_box *qbox,
				unsigned int *copies, const char **error_r);
/* Opens (and creates, if create is TRUE) the mailbox of records if guid is
   NULL, else that of copies. Returns 1 if ok, 2 if it was not there before and
   is empty, 0 if it's missing, -1 on errors. */
int recall_quarantine_box_open(struct recall_quarantine *q,
			       const char *recall_id, const guid_128_t guid,
			       bool create, struct mailbox **box_r,
			       const char **error_r);
/* Its name. */
const char *recall_quarantine_box_get_vname(struct recall_quarantine *q,
					    pool_t pool, const char *recall_id,
					    const guid_128_t guid);
/* Opens a mailbox of copies and says which ones it has; uids_r is on the data
   stack. Returns as above; the caller frees the mailbox if it is 1. */
int recall_quarantine_box_read(struct recall_quarantine *q,
			       const struct recall_quarantine_box *qbox,
			       struct mailbox **box_r,
			       ARRAY_TYPE(seq_range) *uids_r,
			       const char **error_r);
/* Deletes a mailbox with all that is in it. It's no error if it's gone. */
int recall_quarantine_box_delete(struct recall_quarantine *q,
				 const struct recall_quarantine_box *qbox,
				 const char **error_r);

/* Records the recall, with the headers of the copies, and puts them
   into the quarantine. recall->recalled is when this try began. Copies that an
   earlier try has put there are not doubled, and those that are gone meanwhile
   are dropped from copies. Nothing may be expunged unless this returns 0. */
int recall_quarantine_add(struct recall_quarantine *q,
			  const struct recall_quarantine_record *recall,
			  struct recall_copies *copies,
			  const char **error_r);
/* Called after recall_copies_expunge(), or instead of it: takes copies out of
   the quarantine whose messages were not expunged but moved or deleted by a
   client, and takes messages that came back out of copies->expunged. */
void recall_quarantine_reconcile(struct recall_quarantine *q,
				 const char *recall_id,
				 struct recall_copies *copies);
/* After recall_quarantine_add() has failed: the next one looks at all that
   there is in the quarantine anew. */
void recall_quarantine_restart(struct recall_quarantine *q,
			       const char *recall_id,
			       struct recall_copies *copies);
/* Records how many copies there are, if that is not what is recorded. */
int recall_quarantine_recount(struct recall_quarantine *q,
			      const char *recall_id, const char **error_r);
/* Called at the end: does so if it is needed. */
void recall_quarantine_finish(struct recall_quarantine *q,
			      const char *recall_id);

/* What a restore did. Allocated from the pool given. */
struct recall_quarantine_restored {
	/* The quarantine knows of the recall. */
	bool found;
	/* Copies put back into a mailbox, and those that were there already. */
	unsigned int copies, present;
	/* Where they are, in the format of RECALL_COLUMN_MAILBOXES and
	   RECALL_COLUMN_MAILBOX_GUIDS. */
	const char *mailboxes, *guids;
};

/* What there is to put back, and the names of the mailboxes that it came from:
   changes nothing and needs no lock. */
int recall_quarantine_preview(struct recall_quarantine *q, pool_t pool,
			      const char *recall_id,
			      struct recall_quarantine_restored *restored_r,
			      const char **error_r);

/* Puts all copies back: into the mailbox with the GUID, else the one with the
   name, else the INBOX. A copy that is there already is not doubled. What can't
   be put back stays in the quarantine. Returns -1 if that is so for some. */
int recall_quarantine_restore(struct recall_quarantine *q, pool_t pool,
			      const char *recall_id,
			      struct recall_quarantine_restored *restored_r,
			      const char **error_r);

#endif
