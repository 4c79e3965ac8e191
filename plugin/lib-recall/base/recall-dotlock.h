#ifndef RECALL_DOTLOCK_H
#define RECALL_DOTLOCK_H

/* Deletes Dovecot's lock file at the path if it was left behind by a process
   that was killed: one that names no process and that nobody has open, as its
   owner would. Dovecot itself deletes such a file after two or three minutes,
   for which everybody waits. Where the file system doesn't know who has a file
   open (NFS) the file stays. */
void recall_dotlock_delete_stale(const char *path);

#endif
