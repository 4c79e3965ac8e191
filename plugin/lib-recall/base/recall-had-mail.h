#ifndef RECALL_HAD_MAIL_H
#define RECALL_HAD_MAIL_H

struct mail_user;

/* Whether one of the user's own mailboxes has, or has ever had, a message; also
   if that can't be said. */
bool recall_had_mail(struct mail_user *user);

#endif
