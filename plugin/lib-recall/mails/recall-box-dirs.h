#ifndef RECALL_BOX_DIRS_H
#define RECALL_BOX_DIRS_H

#include "seq-range-array.h"

#include <sys/types.h>

struct mail;
struct mailbox;

struct recall_box_dir {
	/* NULL if there is none */
	const char *path;
	dev_t dev;
	ino_t ino;
};

/* Where a mailbox is, by which one is known that has two names, by a symbolic
   link or in another namespace. Not by its GUID, which a mailbox that was
   copied has, too: that is another one, with messages of its own. */
struct recall_box_dirs {
	/* of the messages, and of what gives them their UIDs */
	struct recall_box_dir mails, uids;
	/* If created: what gives them their UIDs is elsewhere, and may be
	   another one by another name of the mailbox. These are the names of
	   the files of messages that were found. */
	ARRAY_TYPE(const_string) fnames;
};

/* Those of a mailbox, which need not be open. One that has none, or is not
   there, is the same as no other one. */
void recall_box_dirs_get(struct mailbox *box, pool_t pool,
			 struct recall_box_dirs *dirs_r);
/* Whether both are the same mailbox now. */
bool recall_box_dirs_are_same(const struct recall_box_dirs *dirs1,
			      const struct recall_box_dirs *dirs2);
/* The message was found in the mailbox. */
void recall_box_dirs_found(struct recall_box_dirs *dirs, pool_t pool,
			   struct mail *mail);
/* Whether a message in the mailbox of mail_dirs is one of those that were found
   in the mailbox of dirs, by their UIDs there. */
bool recall_box_dirs_have_found(const struct recall_box_dirs *dirs,
				const ARRAY_TYPE(seq_range) *uids,
				const struct recall_box_dirs *mail_dirs,
				struct mail *mail);
/* Whether they were two mailboxes: one that is renamed keeps its directory. */
bool recall_box_dirs_differ(const struct recall_box_dirs *dirs1,
			    const struct recall_box_dirs *dirs2);

#endif
