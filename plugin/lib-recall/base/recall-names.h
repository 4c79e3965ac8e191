#ifndef RECALL_NAMES_H
#define RECALL_NAMES_H

/* Appends a mailbox name to a list in the format of RECALL_COLUMN_MAILBOXES. */
void recall_names_append(string_t *list, const char *name);

#endif
