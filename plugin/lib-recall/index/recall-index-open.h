#ifndef RECALL_INDEX_OPEN_H
#define RECALL_INDEX_OPEN_H

struct stat;
struct file_lock;
struct mailbox_list;

/* The index's file as it is opened and locked by those who write: see
   recall-index-file.h. */

/* How long others who write are waited for. */
#define RECALL_INDEX_LOCK_SECS 30

/* Opens the file, which is made if it's not there. Returns -1 on errors. */
int recall_index_open_create(struct mailbox_list *list, const char *path,
			     const char **error_r);
/* Returns 1 if locked, 0 if somebody else has the lock for as many seconds, -1
   on errors. */
int recall_index_lock(int fd, const char *path, unsigned int secs,
		      struct file_lock **lock_r, const char **error_r);
/* Whether the path still names the open file. */
bool recall_index_is_current(int fd, const char *path, struct stat *st_r);

/* Opens and locks the index for writing; secs is how long others are waited
   for, unless that was in vain before. Returns -1 on errors. */
int recall_index_open_locked(struct mailbox_list *list, const char *path,
			     unsigned int secs, struct stat *st_r,
			     struct file_lock **lock_r, const char **error_r);
void recall_index_close_locked(int *fd, struct file_lock **lock);

#endif
