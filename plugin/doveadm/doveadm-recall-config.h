#ifndef RECALL_CONFIG_H
#define RECALL_CONFIG_H

/* Dovecot's configuration as one of its services sees it, asked of doveconf:
   what this process has read is its own alone. Names are those of doveconf
   -S. */

struct recall_config;

/* Returns -1 if doveconf can't tell. */
int recall_config_read(pool_t pool, const char *service,
		       const struct recall_config **config_r,
		       const char **error_r);
/* "" if it's not set. */
const char *recall_config_get(const struct recall_config *config,
			      const char *name);
/* Names of the settings that begin with this, NULL-terminated. */
const char *const *recall_config_find(const struct recall_config *config,
				      const char *prefix);

#endif
