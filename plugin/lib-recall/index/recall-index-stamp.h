#ifndef RECALL_INDEX_STAMP_H
#define RECALL_INDEX_STAMP_H

#include "guid.h"

struct mail_storage;
struct mailbox;
struct mailbox_list;
struct recall_index_root;

/* What a mailbox's files look like from outside: a number that changes with
   whatever changes the mailbox, for the price of a stat() and without the
   mailbox being opened. It is Dovecot's own test for its mailbox list index
   (index_storage_list_index_has_changed(), maildir_list_index_has_changed()),
   but exact: inode and nanoseconds count, so that a log that was rotated or put
   back from a backup is another one, and INBOX and users without mailbox list
   index have it as well.

   With dbox the log of dovecot.index is the mailbox: whatever comes, goes or
   changes is appended to it. To a Maildir others may add, too, which changes
   the time of new/ or cur/. A change within the same tick of the clock does
   not, so a directory that was changed just now has no stamp. */

/* The directory that the list's mailboxes are in, kept open: the many files
   that a look at a user asks for are found from there. That halves what a
   stat() costs. root may be NULL below. */
struct recall_index_root *recall_index_root_open(struct mailbox_list *list);
void recall_index_root_close(struct recall_index_root **root);

/* Whether the index is the mailbox. storage may be NULL. */
bool recall_index_is_dbox(const struct mail_storage *storage);
/* Whether that goes for the flags, too: private ones (INDEXPVT) are in another
   index, which only a sync of the mailbox looks into. */
bool recall_index_has_flags(struct mailbox *box);
/* The directories alone: 1 with dbox, which needs none of them, 0 if they can't
   be known. */
uint64_t recall_index_stamp_dirs(struct mailbox_list *list,
				 const struct recall_index_root *root,
				 const char *name);
/* Directories and log; 0 if the mailbox has none: its storage is another one,
   or has no index in files. dirs is what recall_index_stamp_dirs() said.
   changed_r is the log's time. */
uint64_t recall_index_stamp_get(struct mailbox_list *list,
				struct recall_index_root *root,
				const char *name, uint64_t dirs,
				time_t *changed_r);
/* The directories that the list's mailboxes are, and are in: they change when
   one is made, deleted or renamed. names is as in struct recall_index_names.
   Returns 0 if that isn't known, or if one of them has changed shortly before
   that time or since. Only for dbox in the layout "fs": a Maildir's root
   changes all the time. Otherwise each look at the user would have to read all
   directories, as Dovecot does for its mailbox list index. */
uint64_t recall_index_stamp_names(struct mailbox_list *list,
				  struct recall_index_root *root,
				  const char *names, size_t size,
				  time_t before);
/* Which list it is. */
void recall_index_stamp_root(struct mailbox_list *list, guid_128_t root_r);
/* The name in the list's storage, as a number. */
uint64_t recall_index_stamp_name(const char *name);

#endif
