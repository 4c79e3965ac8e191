#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "strlist.h"

/* Where a relative path of audit.dir begins. */
#define CONFIG_LOG_DIR "/var/log/mail-recalld"

/* As long as audit.cef_prefix may be, octets. */
#define CONFIG_CEF_PREFIX_MAX 1024

/* Everything that can be set, read once and never changed: a reload makes
   another one. Strings are never NULL. */
struct config {
	/* [http] */
	char *http_address;
	int64_t http_port;
	char *http_tls_cert_file;
	char *http_tls_key_file;
	int64_t http_max_connections;
	int64_t http_max_connections_per_address;
	int64_t http_idle_timeout;
	int64_t http_request_timeout;
	int64_t http_max_body;
	int64_t http_max_bodies;
	int64_t http_max_bodies_per_caller;
	int64_t http_max_header;
	int64_t http_workers;
	int64_t http_queue;
	char *http_health_address;
	int64_t http_health_port;
	char *http_trusted_proxies;
	/* [doveadm] */
	char *doveadm_url;
	/* nodes that are asked about no users */
	char *doveadm_behind;
	char *doveadm_login;
	char *doveadm_login_file;
	char *doveadm_ca_file;
	bool doveadm_allow_plaintext;
	int64_t doveadm_connect_timeout;
	int64_t doveadm_timeout;
	int64_t doveadm_connections;
	int64_t doveadm_connections_per_recall;
	int64_t doveadm_batch;
	int64_t doveadm_retries;
	int64_t doveadm_max_rate;
	int64_t doveadm_max_users;
	/* [auth] */
	char *auth_jwt_algorithm;
	char *auth_jwt_key;
	char *auth_jwt_key_file;
	char *auth_jwt_public_key_file;
	char *auth_jwt_private_key_file;
	char *auth_jwt_key_id;
	char *auth_jwt_old_key;
	char *auth_jwt_old_key_file;
	char *auth_jwt_old_public_key_file;
	char *auth_jwt_old_key_id;
	char *auth_jwt_issuer;
	char *auth_jwt_audience;
	int64_t auth_clock_skew;
	int64_t auth_access_token_exp_time;
	int64_t auth_refresh_token_exp_time;
	char *auth_imap_url;
	char *auth_imap_ca_file;
	bool auth_imap_starttls;
	bool auth_imap_allow_plaintext;
	int64_t auth_imap_timeout;
	int64_t auth_logins;
	int64_t auth_logins_queue;
	char *auth_role_field;
	char *auth_tenant_field;
	char *auth_alias_field;
	char *auth_status_field;
	int64_t auth_default_role;
	bool auth_revoke_email;
	bool auth_force_revoke;
	/* [bruteforce] */
	bool bruteforce_enabled;
	int64_t bruteforce_max_attempts;
	int64_t bruteforce_max_attempts_per_account;
	int64_t bruteforce_penalty;
	/* [journal] */
	char *journal_path;
	int64_t journal_keep_days;
	int64_t journal_workers;
	/* [log] and [audit] */
	char *log_path;
	char *log_level;
	bool audit_cef_enabled;
	char *audit_cef_prefix;
	char *audit_dir;
	/* absolute, once the settings are read; or empty */
	char *audit_cef_file;
	char *audit_syslog_socket;
	bool audit_required;
	int64_t audit_refused_per_second;
	int64_t audit_late_per_hour;
	/* [approval] */
	int64_t approval_users;
	bool approval_force;
	bool approval_query;
	bool approval_check_asker;
	int64_t approval_expire_hours;
	/* [recall] and [rights] */
	bool recall_require_reason;
	int64_t recall_max_stand;
	int64_t recall_late_interval;
	char *rights_fetch_body;
	char *rights_export;
	/* [limits] */
	int64_t limits_users_super;
	int64_t limits_users_admin;
	int64_t limits_users_user;
	int64_t limits_recalls_super;
	int64_t limits_recalls_admin;
	int64_t limits_recalls_user;
	/* [webhook] */
	char *webhook_url;
	char *webhook_key;
	char *webhook_key_file;
	char *webhook_ca_file;
	int64_t webhook_timeout;
	int64_t webhook_retry_hours;
	/* [console] */
	bool console_enabled;
	char *console_dir;
	/* [oidc] */
	char *oidc_issuer;
	char *oidc_name;
	char *oidc_client_id;
	char *oidc_client_secret;
	char *oidc_client_secret_file;
	char *oidc_redirect_url;
	char *oidc_scope;
	char *oidc_login_claim;
	char *oidc_role_claim;
	char *oidc_role_super;
	char *oidc_role_admin;
	char *oidc_role_user;
	char *oidc_tenant_claim;
	char *oidc_ca_file;
	char *oidc_proxy;
	bool oidc_allow_plaintext;
	int64_t oidc_session_time;
	int64_t oidc_timeout;
	/* [etcd] */
	char *etcd_endpoints;
	char *etcd_prefix;
	char *etcd_user;
	char *etcd_password_file;
	char *etcd_ca_file;
	bool etcd_allow_plaintext;
	int64_t etcd_timeout;

	/* [nodes]: a domain and its URLs in turn */
	struct strlist nodes;
	/* contents of the files above, read together with the settings, so
	   that a reload either has all of it or changes nothing */
	char *jwt_public_pem;
	char *jwt_old_public_pem;
	char *jwt_private_pem;
	char *tls_cert_pem;
	char *tls_key_pem;
	/* doveadm_url in words */
	struct strlist doveadm_urls;
	/* what is allowed but unwise, for the log */
	struct strlist warnings;

	int refcount;
};

/* The defaults. */
struct config *config_new(void);
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* Sets the setting "section.name" from text. Returns false with the reason in
   error_r if there is none, or the value is not one. */
bool config_set(struct config *config, const char *key, const char *value,
		char **error_r);

/* Adds the settings that are not what the service was started with, and that
   are taken over by a restart only. */
void config_restart_settings(const struct config *started,
			     const struct config *config,
			     struct strlist *names);

/* Calls back for every setting that has a key in etcd. */
void config_etcd_keys(void (*callback)(const char *etcd_key, const char *key,
				       void *context),
		      void *context);

/* The settings by name with their defaults, as an example file shows them. */
void config_print_defaults(void);

/* Adds the URLs of each group of nodes: of doveadm.url, and of those in
   [nodes]. */
void config_node_groups(const struct config *config, struct strlist *groups);
/* Whether a list of roles, e.g. of rights.export, has this one. */
bool config_has_role(const char *roles, int role);

/* The URLs that [nodes] has for a mail domain, NULL if it has none. */
const char *config_domain_urls(const struct config *config, const char *domain);
/* Which doveadm URLs know the user: those of [nodes] for the domain, or all
   of doveadm.url. The answer belongs to the config. */
const char *config_node_urls(const struct config *config, const char *user);

/* The current settings with a reference for the caller. */
struct config *config_current(void);
/* Makes these the current settings; takes the caller's reference over. */
void config_replace(struct config *config);

#endif
