#ifndef RECALL_CONFIG_H
#define RECALL_CONFIG_H

/* Dovecot's configuration as one of its services sees it, asked of doveconf:
   what this process has read may be of yesterday. What settings are called, and
   what doveconf prints, differs between Dovecot's series. */

struct recall_config;

/* Returns -1 if doveconf fails. */
int recall_config_read(pool_t pool, const char *service,
		       const struct recall_config **config_r,
		       const char **error_r);
/* A setting that both series have, by its name. "" if it's not set. */
const char *recall_config_get(const struct recall_config *config,
			      const char *name);
/* Whether the setting, which is a list, has the word. */
bool recall_config_has(const struct recall_config *config, const char *name,
		       const char *word);

/* One of our settings. "" if it's not set. */
const char *recall_config_get_ours(const struct recall_config *config,
				   const char *name);
/* The names that look like our settings', NULL-terminated. None where Dovecot
   refuses those that there are not. */
const char *const *
recall_config_find_ours(const struct recall_config *config);

/* The name of the namespace with the prefix, NULL if there is none. */
const char *recall_config_find_ns(const struct recall_config *config,
				  const char *prefix);
const char *recall_config_get_ns(const struct recall_config *config,
				 const char *ns, const char *name);
/* Whether its mail is elsewhere than that of the user's other mailboxes. */
bool recall_config_ns_has_location(const struct recall_config *config,
				   const char *ns);
/* NULL if mail in there does not count for the quota, or there is none.
   Otherwise what is missing. */
const char *
recall_config_ns_get_quota_error(const struct recall_config *config,
				 const char *ns);

/* The same for how many mailboxes there may be in there (2.4). */
const char *
recall_config_ns_get_count_error(const struct recall_config *config,
				 const char *ns);

/* How many requests a doveadm process serves, and what that is called. */
const char *
recall_config_get_requests(const struct recall_config *config,
			   const char **name_r);

/* Whether it must not be more than one: replication (2.3) looks users up in the
   passdb if there is a doveadm_port, which a process may do for its first one
   only. */
bool recall_config_needs_one_request(const struct recall_config *config);

/* What mail-recalld asks for and doveadm_allowed_commands, which is set, lacks;
   NULL if there is nothing. */
const char *
recall_config_get_missing_commands(const struct recall_config *config);

#endif
