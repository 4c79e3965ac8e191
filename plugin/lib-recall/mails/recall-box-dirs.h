#ifndef RECALL_BOX_DIRS_H
#define RECALL_BOX_DIRS_H

#include <sys/types.h>

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
};

/* Those of a mailbox, which need not be open. One that has none, or is not
   there, is the same as no other one. */
void recall_box_dirs_get(struct mailbox *box, pool_t pool,
			 struct recall_box_dirs *dirs_r);
/* Whether both are the same mailbox now: what is in it has the same UIDs by
   both names. */
bool recall_box_dirs_are_same(const struct recall_box_dirs *dirs1,
			      const struct recall_box_dirs *dirs2);
/* Whether they were two mailboxes: one that is renamed keeps its directory. */
bool recall_box_dirs_differ(const struct recall_box_dirs *dirs1,
			    const struct recall_box_dirs *dirs2);

#endif
