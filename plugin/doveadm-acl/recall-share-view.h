#ifndef RECALL_SHARE_VIEW_H
#define RECALL_SHARE_VIEW_H

/* A shared mailbox as the other user sees it. */

struct mail_user;
struct mail_storage_service_user;
struct mail_namespace;
struct mailbox;

/* Opens the user once more, and takes on the user's privileges. */
int recall_share_user_reopen(struct mail_storage_service_user *service_user,
			     struct mail_user **user_r, const char **error_r);

/* Opens another user than the one that is open already, with that other user's
   privileges. Returns 1 if ok (user_r is to be closed and service_user_r to be
   unreferenced), 0 if there is no such user, -1 on error. */
int recall_share_user_open(struct mail_user *user, const char *username,
			   struct mail_storage_service_user **service_user_r,
			   struct mail_user **user_r, const char **error_r);

/* Finds the owner's mailbox in one of the user's shared namespaces. Returns
   1 and a mailbox that is not open yet, 0 if none of them leads to it (why is
   in *error_r), -1 on error. */
int recall_share_find_box(struct mail_user *user, const char *owner,
			  const char *storage_name, struct mailbox **box_r,
			  const char **error_r);

/* Whether the user of the mailbox's namespace can see it: 1 if yes, 0 if not,
   -1 on error. */
int recall_share_is_visible(struct mailbox *box);

/* Whether the user of the mailbox's namespace is subscribed to it: 1 if yes, 0
   if not, -1 on error. */
int recall_share_is_subscribed(struct mailbox *box);

/* Whether the namespace holds the user's own mailboxes. */
bool recall_share_ns_is_own(const struct mail_namespace *ns);

#endif
