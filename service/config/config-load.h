#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config.h"

/* Reads and checks the file, the environment's secrets and, if
   etcd.endpoints is set, etcd's keys. Returns NULL with all that is wrong in
   error_r, a line each; the caller frees it. */
struct config *config_load(const char *path, char **error_r);

#endif
