#ifndef RECALL_SHARE_H
#define RECALL_SHARE_H

#include "recall-acl.h"

struct mail_user;
struct mail_storage_service_user;

enum recall_share_status {
	/* The other user has the rights now, and the subscription. */
	RECALL_SHARE_SHARED = 0,
	/* The other user has neither any more. */
	RECALL_SHARE_UNSHARED,
	/* There is nothing to take back from the other user. */
	RECALL_SHARE_NOT_SHARED,
	/* The owner or the other user does not exist. */
	RECALL_SHARE_NO_USER,
	/* The owner has no such mailbox. */
	RECALL_SHARE_NO_MAILBOX,
	/* The owner or the other user belongs to another tenant. */
	RECALL_SHARE_FORBIDDEN,
	/* The configuration rules it out. */
	RECALL_SHARE_NOT_POSSIBLE,
	/* Something failed; all is as it was, unless the text says
	   otherwise. */
	RECALL_SHARE_ERROR,

	RECALL_SHARE_STATUS_COUNT
};

/* The name, e.g. "not_shared". */
const char *recall_share_status_name(enum recall_share_status status);
/* What a command that comes to this exits with. */
int recall_share_status_exit_code(enum recall_share_status status);

/* A mailbox and the user whom it is or is to be shared with. */
struct recall_share {
	/* of what is looked up; lives longer than this */
	pool_t pool;
	struct mail_storage_service_user *owner_service_user;
	/* NULL if that user doesn't exist */
	struct mail_storage_service_user *other_service_user;
	/* the users' names as the userdb has them */
	const char *owner, *other;
	/* the owner's name of the mailbox, and its name in the storage */
	const char *mailbox, *storage_name;
	/* the other user's name of the mailbox, NULL if it can't be seen */
	const char *name;
	/* how it was when it was looked at */
	struct recall_acl_entry entry;
	bool has_entry, subscribed;
	/* acl_shared_dict could not be updated */
	bool publish_failed;
	/* set if anything but RECALL_SHARE_SHARED or _UNSHARED comes out */
	const char *error;
};

/* Looks at everything that sharing or unsharing needs, and changes nothing.
   tenant may be NULL. With must_exist also an other user who doesn't exist or
   can't see the mailbox is a reason to stop. Returns TRUE if all is well, else
   *status_r and share_r->error say why not. recall_share_deinit() is due in any
   case. */
bool recall_share_init(struct recall_share *share_r, pool_t pool,
		       struct mail_user *owner, const char *mailbox,
		       const char *other, const char *tenant, bool must_exist,
		       enum recall_share_status *status_r);
void recall_share_deinit(struct recall_share *share);

/* Gives the other user these rights and no others, and subscribes that user to
   the mailbox if lookup is among them (and unsubscribes, if not). */
enum recall_share_status
recall_share_add(struct recall_share *share, const char *const *rights);

/* Takes the user's entry out of the ACL, and the subscription away. */
enum recall_share_status recall_share_remove(struct recall_share *share);

#endif
