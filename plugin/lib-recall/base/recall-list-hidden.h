#ifndef RECALL_LIST_HIDDEN_H
#define RECALL_LIST_HIDDEN_H

struct mailbox_list;

/* Whether a mailbox matters, name in the list's storage. */
typedef bool recall_list_hidden_wanted_t(const char *name, void *context);

/* Dovecot leaves out of its list, without a word, mailboxes that are in the
   directories of mail nevertheless:

   - a symbolic link whose target, on another disk mostly, is not there
   - one to a directory, in that of a mailbox: its number of links, which is of
     directories alone, says that there is none
   - with ITERINDEX one whose directory of indexes was lost, as with a tmpfs
   - a name that is no UTF-8, and can't be renamed as another one has that name

   Returns -1 if there is one; error_r then says which, on the data stack.
   listed are the names that were listed, each with its NUL, or NULL if only the
   root is to be looked at. wanted may be NULL. It costs the reading of all
   directories that mailboxes are in, and is to be asked after the listing,
   which renames mailboxes. */
int recall_list_hidden_check(struct mailbox_list *list, const buffer_t *listed,
			     recall_list_hidden_wanted_t *wanted, void *context,
			     const char **error_r);

#endif
