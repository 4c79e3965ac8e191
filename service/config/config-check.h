#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config.h"
#include "strbuf.h"

/* Takes the secrets out of the files that settings name. */
void config_read_secrets(struct config *config, struct strbuf *errors);

/* Whether etcd may be asked at all. */
void config_check_etcd(const struct config *config, struct strbuf *errors);

/* Reads the other files that settings name and checks what one setting alone
   can't show. Adds a line to errors for everything that is wrong. */
void config_check(struct config *config, struct strbuf *errors);

/* Whether the files that are written to can be, without making any: who checks
   may be another user than the service is. */
void config_check_files(const struct config *config, struct strbuf *errors);

#endif
