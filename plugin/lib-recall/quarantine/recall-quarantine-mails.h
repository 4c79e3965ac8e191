#ifndef RECALL_QUARANTINE_MAILS_H
#define RECALL_QUARANTINE_MAILS_H

#include "seq-range-array.h"

struct mailbox;

/* All messages' UIDs. The mailbox is synced for that. */
int recall_mails_get_all(struct mailbox *box, ARRAY_TYPE(seq_range) *uids,
			 const char **error_r);
/* Adds the GUIDs of the messages that are there to guids. */
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
   one for each copy (it's used up). Messages that are gone are dropped from
   uids. */
int recall_mails_copy(struct mailbox *src, ARRAY_TYPE(seq_range) *uids,
		      struct mailbox *dest, ARRAY_TYPE(const_string) *guids,
		      const char **error_r);

#endif
