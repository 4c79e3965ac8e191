#ifndef RECALL_QUARANTINE_SETTINGS_H
#define RECALL_QUARANTINE_SETTINGS_H

struct mail_user;
struct mail_namespace;

/* The prefix that recall_quarantine and recall_hold come to, NULL if there is
   no quarantine to be. */
const char *recall_quarantine_prefix_of(const char *quarantine,
					const char *hold);
/* The prefix of the namespace that is the user's quarantine, NULL if there
   shall be none. */
const char *recall_quarantine_get_prefix(struct mail_user *user);

/* Whether the namespace is its user's quarantine: nothing in there is ever
   searched for or recalled, and no client sees it. */
bool recall_quarantine_is_namespace(struct mail_namespace *ns);

/* Whether what is recalled from the user is evidence that has to stay: it is in
   the quarantine even where that is off, until the setting recall_hold says
   otherwise. It is yes or no, or the prefix of the namespace. */
bool recall_quarantine_is_held(struct mail_user *user);

#endif
