#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config.h"

/* Takes the secrets out of the files that settings name. */
void config_read_secrets(struct config *config, struct strbuf *errors);

/* Reads the other files that settings name and checks what one setting alone cannot
   tell. Adds a line to errors for everything that is wrong. */
void config_check(struct config *config, struct strbuf *errors);

#endif
