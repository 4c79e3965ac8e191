#ifndef RECALL_LOCK_H
#define RECALL_LOCK_H

struct file_lock;
struct mail_namespace;

/* Locks of a user's, for what no lock of Dovecot's covers: files in the root
   of a namespace's indexes, or of its mailboxes if those have no indexes on
   disk. */

/* Where the file is; the directory is made if it's missing. The path is of the
   data stack. Returns -1 on error. */
int recall_lock_get_path(struct mail_namespace *ns, const char *fname,
			 const char **path_r, const char **error_r);
/* Waits for the lock for at most that many seconds, as long as the mail storage
   allows (mail_max_lock_timeout). file_lock_free() deletes the file. Returns -1
   if the lock was not had. */
int recall_lock_create(struct mail_namespace *ns, const char *path,
		       unsigned int secs, struct file_lock **lock_r,
		       const char **error_r);

#endif
