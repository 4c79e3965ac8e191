#ifndef RECALL_LIST_CHECK_H
#define RECALL_LIST_CHECK_H

#include <sys/stat.h>

struct mailbox_list;

/* Dovecot takes a directory that it may not read for an empty one. Returns -1
   if the one that mailboxes are listed from is there but can't be read;
   error_r then says why, on the data stack. */
int recall_list_check_readable(struct mailbox_list *list, const char **error_r);
/* The same for the directory of one of the list's mailboxes, name in its
   storage, if others are listed from there. Returns 1 if that can be read; st_r
   is what it looks like. Returns 0 if there is none. */
int recall_list_check_mailbox(struct mailbox_list *list, const char *name,
			      struct stat *st_r, const char **error_r);

#endif
