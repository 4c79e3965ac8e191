#ifndef RECALL_MAILS_H
#define RECALL_MAILS_H

#include "seq-range-array.h"

struct mailbox;
struct recall_given;

/* A message; the GUID is empty if the storage has none. */
struct recall_mails_guid {
	const char *guid;
	/* The file that it is a link to; ino is 0 if there is no other link. A
	   process that was killed may have linked a Maildir's message, and not
	   written down which GUID that has. */
	dev_t dev;
	ino_t ino;
	uint32_t uid;
};
ARRAY_DEFINE_TYPE(recall_mails_guid, struct recall_mails_guid);

/* A message and the copy that was made of it. */
struct recall_mails_copied {
	uint32_t uid, dest_uid;
};
ARRAY_DEFINE_TYPE(recall_mails_copied, struct recall_mails_copied);

/* All messages' UIDs. The mailbox is synced for that. */
int recall_mails_get_all(struct mailbox *box, ARRAY_TYPE(seq_range) *uids,
			 const char **error_r);
/* FALSE for mdbox, which has messages that its index does not know of in other
   mailboxes' files. */
bool recall_mails_are_files(const struct mailbox *box);
/* The same where count messages are known to be there. If the index has less
   it is made anew, but for mdbox: it may be damaged, or an error may have kept
   it from seeing what came. Less than that may be the truth, nevertheless. */
int recall_mails_get_count(struct mailbox *box, unsigned int count,
			   ARRAY_TYPE(seq_range) *uids, const char **error_r);
/* Adds the GUIDs of the messages that are there to guids, those that can't be
   opened left out. */
int recall_mails_get_guids(struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   ARRAY_TYPE(recall_mails_guid) *guids,
			   const char **error_r);
/* Takes one that is the same message out of guids. Returns FALSE if there is
   none. */
bool recall_mails_use_guid(ARRAY_TYPE(recall_mails_guid) *guids,
			   const struct recall_mails_guid *mail,
			   uint32_t *uid_r);
/* Adds the GUIDs of those messages of dest that may be copies of messages of
   src (and perhaps more). */
int recall_mails_get_related(struct mailbox *src,
			     const ARRAY_TYPE(seq_range) *uids,
			     struct mailbox *dest,
			     ARRAY_TYPE(recall_mails_guid) *guids,
			     const char **error_r);

/* Whether encrypted messages can be read, where it takes that to copy them:
   their headers may be known without. Those that are gone do not matter. */
int recall_mails_try_key(struct mailbox *box,
			 const ARRAY_TYPE(seq_range) *uids,
			 const char **error_r);

/* Copies messages in one transaction, with flags, keywords, received date and
   GUID. The copies that dest has already are not made again: guids are theirs,
   one for each copy. If such a copy has no flags then it gets the message's:
   when sdbox finds one that a killed process has left, it has lost them.
   Messages that are gone are dropped from uids. copied
   has the copies made, if it returns an error, too. If this returns 0, all of
   uids are in dest: each copy made has been opened after the commit, unless
   clients are let into dest and have deleted it since. Then given is not NULL:
   what it has is not copied again either, and what is copied is written down
   for it. */
int recall_mails_copy(struct mailbox *src, ARRAY_TYPE(seq_range) *uids,
		      struct mailbox *dest, struct recall_given *given,
		      const ARRAY_TYPE(recall_mails_guid) *guids,
		      ARRAY_TYPE(recall_mails_copied) *copied,
		      const char **error_r);

/* Gives copies the flags and keywords that the messages have. Those that are
   gone are passed over. */
int recall_mails_copy_flags(struct mailbox *src, struct mailbox *dest,
			    const ARRAY_TYPE(recall_mails_copied) *copied,
			    const char **error_r);

/* Expunges messages. It's no error if they are gone. */
int recall_mails_expunge(struct mailbox *box, const ARRAY_TYPE(seq_range) *uids,
			 const char **error_r);

#endif
