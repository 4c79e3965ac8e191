#ifndef RECALL_BOXES_H
#define RECALL_BOXES_H

struct mail_namespace;
struct mail_user;
struct mailbox;
struct recall_criteria;
struct recall_scan;

/* Goes through the mailboxes that a recall looks at: all in the user's own
   private namespaces, whatever their ACLs say. Shared, public and virtual
   mailboxes never come. */
struct recall_boxes_iter *recall_boxes_iter_init(struct mail_user *user);
/* The same without mailboxes that are certain to have nothing that the criteria
   match: they are not even allocated. scan, if not NULL, gets them. All
   must live as long as the iterator. */
struct recall_boxes_iter *
recall_boxes_iter_init_for(struct mail_user *user,
			   const struct recall_criteria *criteria,
			   struct recall_scan *scan);
/* Whether that namespace's mailboxes are among them. */
bool recall_boxes_are_in(struct mail_namespace *ns);
/* The next mailbox, not opened yet, or NULL. The caller frees it. */
struct mailbox *recall_boxes_iter_next(struct recall_boxes_iter *iter);
/* Returns -1 if some mailboxes could not be listed; error_r then says why, on
   the data stack. */
int recall_boxes_iter_deinit(struct recall_boxes_iter **iter,
			     const char **error_r);

/* What is wrong with a mailbox that is listed, time and again, but is not there
   when it is opened: Dovecot lists directories with names that no mailbox can
   have. On the data stack. */
const char *recall_boxes_get_gone_error(const char *vname);

/* Whether the mailbox is one of the places: names of mailboxes, and prefixes of
   namespaces. */
bool recall_boxes_have(const ARRAY_TYPE(const_string) *places,
		       struct mailbox *box);

#endif
