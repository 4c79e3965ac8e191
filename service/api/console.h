#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>

#include "config.h"

/* The console: static pages in front of the API. They are read once, so that no
   request ever names a file. */

/* Reads the files of console.dir. Returns false, with the reason in error_r
   (the caller frees it), if one can't be read: then none is served. Whether
   the console is on is looked at when somebody asks. */
bool console_load(const struct config *config, char **error_r);
void console_free(void);

#endif
