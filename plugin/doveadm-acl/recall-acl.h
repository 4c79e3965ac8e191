#ifndef RECALL_ACL_H
#define RECALL_ACL_H

struct mailbox;
struct mail_namespace;
struct mail_user;

/* What an ACL says of one user; NULL stands for nothing. */
struct recall_acl_entry {
	const char *const *rights;
	const char *const *neg_rights;
};

/* NULL if the mailboxes of the namespace have ACLs that are heeded, why not
   otherwise. */
const char *recall_acl_get_obstacle(const struct mail_namespace *ns);

/* Whether what is set on the INBOX is what those mailboxes of the namespace
   have that have no ACL of their own (acl_defaults_from_inbox). */
bool recall_acl_inbox_is_default(const struct mail_namespace *ns);

/* Looks up the mailbox's own ACL entry of the user; global ACLs don't count.
   Returns 1 if there is one, 0 if not, -1 on error. entry_r is allocated from
   the pool. */
int recall_acl_get(struct mailbox *box, const char *username, pool_t pool,
		   struct recall_acl_entry *entry_r);

/* Puts the entry in the place of what the ACL said of the user. The mailbox
   must be open. Returns -1 on error. */
int recall_acl_set(struct mailbox *box, const char *username,
		   const struct recall_acl_entry *entry);

/* Brings acl_shared_dict, if set, up to date with what the user shares. The acl
   plugin does so whenever an ACL is set, but it keeps failures to itself, and
   others would wait for the mailbox to appear in vain. Returns -1 on error. */
int recall_acl_publish(struct mail_user *user);

/* The names of the rights, in the order of recall-rights.h, negative ones
   with "-". */
const char *recall_acl_rights_to_text(const char *const *rights,
				      const char *const *neg_rights);

#endif
