#ifndef RECALL_SCAN_H
#define RECALL_SCAN_H

struct mail_namespace;
struct mailbox;
struct mailbox_list;
struct recall_index_lookup;
struct recall_message_id;

/* Mailboxes are searched one after the other. A message that is moved meanwhile
   from one that is yet to be searched to one that was searched already is
   missed. This keeps account of what was searched, so that a search that finds
   nothing can be believed.

   Between two scans of all mailboxes, let no message have come and gone in any
   of them, and let none of those that came and stayed be the one. Then at the
   moment when the first scan ended, no mailbox had it. That nothing came and
   went is seen by the UIDs; for a mailbox whose index was not written to since
   before the first scan nothing has to be seen. */
struct recall_scan;

struct recall_scan *recall_scan_init(pool_t pool);
void recall_scan_deinit(struct recall_scan **scan);

/* Called when a scan of all mailboxes begins. */
void recall_scan_begin(struct recall_scan *scan);
/* Called before the namespace's mailboxes are listed. */
void recall_scan_begin_ns(struct recall_scan *scan,
			  const struct mail_namespace *ns);
/* The list's index, asked for the id: later scans need not read it again. */
struct recall_index_lookup *
recall_scan_get_lookup(struct recall_scan *scan, struct mailbox_list *list,
		       const struct recall_message_id *id);
/* The one that was asked already, or NULL. */
struct recall_index_lookup *
recall_scan_find_lookup(struct recall_scan *scan, struct mailbox_list *list);
/* Returns TRUE if the mailbox need not be searched in this scan, since an
   earlier one found nothing in it and it has not changed. Otherwise a mailbox
   that has changed is opened: what Dovecot's mailbox list index knows of it is
   not enough. */
bool recall_scan_skip(struct recall_scan *scan, struct mailbox *box);
/* Called when the index is sure that the mailbox has nothing; its log was last
   written to at that time. name is the mailbox's in the list's storage. Returns
   FALSE if it has to be searched nevertheless. */
bool recall_scan_pass_over(struct recall_scan *scan, struct mailbox_list *list,
			   const char *name, time_t changed);
/* Called when the mailbox was searched. found: something that must be found
   again. If not, the next scan reads the index again, which knows better
   now. */
void recall_scan_add(struct recall_scan *scan, struct mailbox *box,
		     bool found);
/* Called when all that was found in the mailbox was expunged, and the mailbox
   synced. Then it has nothing, if it is certain that nothing has come since it
   was searched: its index was read after its log's stamp, which changes with
   whatever is written to it (with dbox, and to a Maildir not within a second),
   and has nothing more than what was synced, which has no UIDs that the search
   has not seen. Later scans need not open it as long as it has that stamp. */
void recall_scan_set_emptied(struct recall_scan *scan, struct mailbox *box);
/* Returns TRUE if the mailbox need not be searched in this scan, since nothing
   has happened in it after that. */
bool recall_scan_is_empty(struct recall_scan *scan, struct mailbox_list *list,
			  const char *name);
/* Called when the mailboxes of a namespace have been listed, the directories of
   which were last changed at that time. */
void recall_scan_listed(struct recall_scan *scan, time_t changed);
/* Whether the mailbox's view has all that its index has, which is read for
   it. */
bool recall_scan_is_latest(struct mailbox *box);
/* Called when a message, or a mailbox, was gone before it could be judged. */
void recall_scan_set_uncertain(struct recall_scan *scan);
/* Returns TRUE if nothing can have been missed in this scan. */
bool recall_scan_is_certain(struct recall_scan *scan);
/* Returns TRUE if messages may have been in no mailbox during this scan, as
   Dovecot rebuilds an mdbox, and may be again in a moment. */
bool recall_scan_is_rebuilt(struct recall_scan *scan);
/* Called after a scan that has found something. */
void recall_scan_found(struct recall_scan *scan);
/* Returns TRUE if Dovecot has rebuilt an mdbox since something was found
   first. */
bool recall_scan_was_rebuilt(struct recall_scan *scan);

#endif
