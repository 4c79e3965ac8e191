#ifndef RECALL_SDBOX_COPY_H
#define RECALL_SDBOX_COPY_H

struct mail_save_context;

/* A message that is copied to an sdbox is a file that has no UID yet. Plugins
   look at it, as mail_log does for its Message-ID, and Dovecot panics if it is
   not there any more, since the mailbox has been renamed: that it could not
   open the file it does not mind. Called before a message is copied: opens the
   file as soon as it is there. If it can't be opened then plugins are told only
   what is in the cache; the commit fails. */
void recall_sdbox_copy_prepare(struct mail_save_context *ctx);

#endif
