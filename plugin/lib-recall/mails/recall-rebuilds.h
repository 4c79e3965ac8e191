#ifndef RECALL_REBUILDS_H
#define RECALL_REBUILDS_H

struct mail_storage;

/* An mdbox that is rebuilt has its messages in no mailbox for a while: whoever
   reads a file while another one writes to it takes it for corrupted, and what
   that one wrote for lost, until the next rebuild. Dovecot counts the rebuilds.
   UIDs do not show it: what comes back may have the one that it had. */
struct recall_rebuilds;

struct recall_rebuilds *recall_rebuilds_init(pool_t pool);
/* Called before a mailbox of the storage is searched. */
void recall_rebuilds_begin(struct recall_rebuilds *rebuilds,
			   struct mail_storage *storage);
/* Returns TRUE if one of the storages has been rebuilt since the first mailbox
   of it was searched, or since the last call, or has to be rebuilt. */
bool recall_rebuilds_have_been(struct recall_rebuilds *rebuilds);

#endif
