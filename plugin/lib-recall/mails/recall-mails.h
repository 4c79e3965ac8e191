#ifndef RECALL_MAILS_H
#define RECALL_MAILS_H

#include "seq-range-array.h"

struct mailbox;

/* All messages' UIDs. The mailbox is synced for that. */
int recall_mails_get_all(struct mailbox *box, ARRAY_TYPE(seq_range) *uids,
			 const char **error_r);
/* Adds the GUIDs of the messages that are there to guids, those that can't be
   opened left out. */
int recall_mails_get_guids(struct mailbox *box,
			   const ARRAY_TYPE(seq_range) *uids,
			   ARRAY_TYPE(const_string) *guids,
			   const char **error_r);
/* Takes the GUID out of guids, once. Returns FALSE if it is not there. */
bool recall_mails_use_guid(ARRAY_TYPE(const_string) *guids, const char *guid);
/* Adds the GUIDs of those messages of dest that may be copies of messages of
   src (and perhaps more). */
int recall_mails_get_related(struct mailbox *src,
			     const ARRAY_TYPE(seq_range) *uids,
			     struct mailbox *dest,
			     ARRAY_TYPE(const_string) *guids,
			     const char **error_r);

/* Copies messages in one transaction, with flags, keywords, received date and
   GUID. The copies that dest has already are not made again: guids are theirs,
   one for each copy. Messages that are gone are dropped from uids. copied_r is
   the number of copies made. If this returns 0, all of uids are in dest: each
   copy made has been opened after the commit, unless clients are let into dest
   and have deleted it since. */
int recall_mails_copy(struct mailbox *src, ARRAY_TYPE(seq_range) *uids,
		      struct mailbox *dest, bool clients,
		      const ARRAY_TYPE(const_string) *guids,
		      unsigned int *copied_r, const char **error_r);

#endif
