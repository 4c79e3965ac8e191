#ifndef RECALL_STANDING_FILE_H
#define RECALL_STANDING_FILE_H

/* Files of the directory of standing orders, which every process may read. A
   new one is written whole under another name and takes its place then. */

#define RECALL_STANDING_NEW_SUFFIX ".new"

struct file_lock;

/* Locks the directory, which is made if there is none. */
int recall_standing_lock(const char *dir, struct file_lock **lock_r,
			 const char **error_r);

/* Writes the file anew, and waits until it is on the disk. On errors there is
   none. */
int recall_standing_file_write(const char *path, const void *data, size_t size,
			       const char **error_r);
/* Puts it in the place of another. On errors it is removed. */
int recall_standing_file_rename(const char *temp_path, const char *path,
				const char **error_r);

#endif
