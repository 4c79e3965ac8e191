#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config.h"

/* Reads the files that settings name and checks what one setting alone cannot
   tell. Adds a line to errors for everything that is wrong. */
void config_check(struct config *config, struct strbuf *errors);

#endif
