#ifndef RECALL_REBUILDS_H
#define RECALL_REBUILDS_H

struct mailbox;
struct mail_namespace;

/* While Dovecot rebuilds an mdbox, and from one rebuild to the next where they
   come in turn, messages may be in no mailbox: whoever reads a file while
   another process writes to it takes it for corrupted, and what that one wrote
   for lost, until the next rebuild. UIDs do not show it: what comes back may
   have the one that it had.

   A rebuild locks the map's log until it ends. When it begins it puts a new
   index of the map in place, with a flag that tells why. Dovecot leaves the
   flag there, by which each process that has the map open rebuilds again
   whenever it syncs a mailbox. So the map is not opened here; and if it is
   open, what has been done is put down as done. */
struct recall_rebuilds;

struct recall_rebuilds *recall_rebuilds_init(pool_t pool);
/* Called before a scan begins. */
void recall_rebuilds_begin(struct recall_rebuilds *rebuilds);
/* Called before the namespace's mailboxes are listed. */
void recall_rebuilds_begin_ns(struct recall_rebuilds *rebuilds,
			      const struct mail_namespace *ns);
/* Called before a mailbox is synced. */
void recall_rebuilds_put_down(struct recall_rebuilds *rebuilds,
			      struct mailbox *box);
/* Returns TRUE if none of the storages that were scanned is rebuilt or was
   during the scan, or less than a second before. */
bool recall_rebuilds_are_over(struct recall_rebuilds *rebuilds);
/* Called when something was found. */
void recall_rebuilds_found(struct recall_rebuilds *rebuilds);
/* Returns TRUE if one of the storages has been rebuilt since something was
   found first. */
bool recall_rebuilds_have_been(struct recall_rebuilds *rebuilds);

#endif
