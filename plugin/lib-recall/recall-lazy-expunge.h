#ifndef RECALL_LAZY_EXPUNGE_H
#define RECALL_LAZY_EXPUNGE_H

struct mail_user;
struct recall_copies;
struct recall_lazy_expunge;

/* Where the lazy_expunge plugin is loaded, what a recall expunges is copied to
   a place that the user can fetch it from. With a quarantine that copy has to
   go, too. */

/* Takes down which messages are about to be expunged and what is there
   already. lazy_r is NULL if the plugin is not in use; it lives on the data
   stack. Returns -1 on errors. */
int recall_lazy_expunge_begin(struct mail_user *user,
			      const struct recall_copies *copies,
			      struct recall_lazy_expunge **lazy_r,
			      const char **error_r);
/* The copies have been expunged: deletes what the plugin has made of them, and
   nothing else. Errors are in copies->error. */
void recall_lazy_expunge_finish(struct recall_lazy_expunge *lazy,
				struct recall_copies *copies);

#endif
