#ifndef RECALL_LIST_CHECK_H
#define RECALL_LIST_CHECK_H

struct mailbox_list;

/* Dovecot takes a directory that it may not read for an empty one. Returns -1
   if the one that mailboxes are listed from is there but can't be read;
   error_r then says why, on the data stack. */
int recall_list_check_readable(struct mailbox_list *list, const char **error_r);

#endif
