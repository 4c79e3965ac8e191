#ifndef RECALL_MAILS_SAME_H
#define RECALL_MAILS_SAME_H

#include "recall-mails.h"

struct recall_message_id;

/* Whether what was copied is what was meant: whoever has a mailbox of an mdbox
   open while that is rebuilt may copy another message, since the number by
   which it knows a message in the storage may be another one's by then. The
   copies themselves have to have the Message-ID; if id is NULL the one that the
   message was known by. Returns 0 if so, or if no mdbox is involved, -1 on
   errors. */
int recall_mails_check_same(struct mailbox *src, struct mailbox *dest,
			    const ARRAY_TYPE(recall_mails_copied) *copied,
			    const struct recall_message_id *id,
			    const char **error_r);

#endif
