#ifndef FILE_H
#define FILE_H

#include <stdbool.h>

/* Whether other users than its owner and group can read the file. */
bool file_is_open_to_others(const char *path);
/* The file's contents without trailing newlines, or NULL with the reason in
   error_r (the caller frees it). One that others can read is refused. */
char *read_secret_file(const char *path, char **error_r);
/* The file as it is. */
char *read_whole_file(const char *path, char **error_r);

#endif
