#ifndef RECALL_CONFIG_PRIVATE_H
#define RECALL_CONFIG_PRIVATE_H

struct recall_config_setting {
	const char *name, *value;
};

struct recall_config {
	pool_t pool;
	ARRAY(struct recall_config_setting) settings;
};

typedef void
recall_config_line_func_t(struct recall_config *config, const char *line,
			  void *context);

/* Runs doveconf with the arguments, NULL-terminated, and calls the function for
   each line that it prints. */
int recall_config_run(struct recall_config *config, const char *const *args,
		      recall_config_line_func_t *func, void *context,
		      const char **error_r);
void recall_config_set(struct recall_config *config, const char *name,
		       const char *value);
/* Names of the settings that begin with this, NULL-terminated. */
const char *const *recall_config_find(const struct recall_config *config,
				      const char *prefix);

/* What differs between series. */
int recall_config_read_service(struct recall_config *config,
			       const char *service, const char **error_r);

#endif
