#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-config.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "address.h"
#include "alloc.h"
#include "config.h"
#include "text.h"

enum setting_type { SET_STR, SET_INT, SET_BOOL };

struct setting {
	const char *key;
	enum setting_type type;
	size_t offset;
	const char *def;
	int64_t min, max;
	/* where a cluster that keeps its settings in etcd has it */
	const char *etcd_key;
};

#define STR(key, field, def, etcd) \
	{ key, SET_STR, offsetof(struct config, field), def, 0, 0, etcd }
#define INT(key, field, def, min, max, etcd) \
	{ key, SET_INT, offsetof(struct config, field), def, min, max, etcd }
#define BOOL(key, field, def, etcd) \
	{ key, SET_BOOL, offsetof(struct config, field), def, 0, 1, etcd }

#define YEAR (366 * 86400)

static const struct setting settings[] = {
	STR("http.address", http_address, "127.0.0.1", NULL),
	INT("http.port", http_port, "8025", 0, 65535, NULL),
	STR("http.tls_cert_file", http_tls_cert_file, "", NULL),
	STR("http.tls_key_file", http_tls_key_file, "", NULL),
	INT("http.max_connections", http_max_connections, "4096", 1, 1000000,
	    NULL),
	INT("http.max_connections_per_address",
	    http_max_connections_per_address, "256", 0, 1000000, NULL),
	INT("http.idle_timeout", http_idle_timeout, "30", 1, 86400, NULL),
	INT("http.request_timeout", http_request_timeout, "60", 1, 86400,
	    NULL),
	INT("http.max_body", http_max_body, "8388608", 1024, 1073741824, NULL),
	INT("http.max_bodies", http_max_bodies, "67108864", 1024,
	    1099511627776, NULL),
	INT("http.max_bodies_per_caller", http_max_bodies_per_caller,
	    "16777216", 1024, 1099511627776, NULL),
	INT("http.max_header", http_max_header, "32768", 4096, 1048576, NULL),
	INT("http.workers", http_workers, "16", 1, 256, NULL),
	INT("http.queue", http_queue, "256", 1, 100000, NULL),
	STR("http.health_address", http_health_address, "127.0.0.1", NULL),
	INT("http.health_port", http_health_port, "8026", 0, 65535, NULL),
	STR("http.trusted_proxies", http_trusted_proxies, "", NULL),

	STR("doveadm.url", doveadm_url, "http://127.0.0.1:2222/doveadm/v1",
	    "services/doveadm/url"),
	STR("doveadm.behind", doveadm_behind, "", NULL),
	STR("doveadm.login", doveadm_login, "", "services/doveadm/login"),
	STR("doveadm.login_file", doveadm_login_file, "", NULL),
	STR("doveadm.ca_file", doveadm_ca_file, "", NULL),
	BOOL("doveadm.allow_plaintext", doveadm_allow_plaintext, "no", NULL),
	INT("doveadm.connect_timeout", doveadm_connect_timeout, "5", 1, 3600,
	    NULL),
	INT("doveadm.timeout", doveadm_timeout, "300", 1, 86400, NULL),
	INT("doveadm.connections", doveadm_connections, "8", 1, 1000, NULL),
	INT("doveadm.connections_per_recall", doveadm_connections_per_recall,
	    "4", 1, 1000, NULL),
	INT("doveadm.batch", doveadm_batch, "500", 1, RECALL_BATCH_MAX, NULL),
	INT("doveadm.retries", doveadm_retries, "2", 0, 20, NULL),
	INT("doveadm.max_rate", doveadm_max_rate, "0", 0, 1000000, NULL),
	INT("doveadm.max_users", doveadm_max_users, "10000000", 1, 1000000000,
	    NULL),

	STR("auth.jwt_algorithm", auth_jwt_algorithm, "HS256", NULL),
	STR("auth.jwt_key", auth_jwt_key, "", "psn/web/secure/jwt_key"),
	STR("auth.jwt_key_file", auth_jwt_key_file, "", NULL),
	STR("auth.jwt_public_key_file", auth_jwt_public_key_file, "", NULL),
	STR("auth.jwt_private_key_file", auth_jwt_private_key_file, "", NULL),
	STR("auth.jwt_key_id", auth_jwt_key_id, "",
	    "psn/web/secure/jwt_key_id"),
	STR("auth.jwt_old_key", auth_jwt_old_key, "",
	    "psn/web/secure/jwt_old_key"),
	STR("auth.jwt_old_key_file", auth_jwt_old_key_file, "", NULL),
	STR("auth.jwt_old_public_key_file", auth_jwt_old_public_key_file, "",
	    NULL),
	STR("auth.jwt_old_key_id", auth_jwt_old_key_id, "",
	    "psn/web/secure/jwt_old_key_id"),
	STR("auth.jwt_issuer", auth_jwt_issuer, "", NULL),
	STR("auth.jwt_audience", auth_jwt_audience, "", NULL),
	INT("auth.clock_skew", auth_clock_skew, "30", 0, 3600, NULL),
	INT("auth.access_token_exp_time", auth_access_token_exp_time, "3600",
	    1, YEAR, "pbm/auth/access_token_exp_time"),
	INT("auth.refresh_token_exp_time", auth_refresh_token_exp_time,
	    "604800", 1, YEAR, "pbm/auth/refresh_token_exp_time"),
	STR("auth.imap_url", auth_imap_url, "imap://127.0.0.1:143", NULL),
	STR("auth.imap_ca_file", auth_imap_ca_file, "", NULL),
	BOOL("auth.imap_starttls", auth_imap_starttls, "no", NULL),
	BOOL("auth.imap_allow_plaintext", auth_imap_allow_plaintext, "no",
	     NULL),
	INT("auth.imap_timeout", auth_imap_timeout, "30", 1, 3600, NULL),
	INT("auth.logins", auth_logins, "32", 1, 256, NULL),
	INT("auth.logins_queue", auth_logins_queue, "128", 1, 100000, NULL),
	STR("auth.role_field", auth_role_field, "role", NULL),
	STR("auth.tenant_field", auth_tenant_field, RECALL_USERDB_TENANT,
	    NULL),
	STR("auth.alias_field", auth_alias_field, "alias", NULL),
	STR("auth.status_field", auth_status_field, "inetUserStatus", NULL),
	INT("auth.default_role", auth_default_role, "2", 0, 2, NULL),
	BOOL("auth.revoke_email", auth_revoke_email, "no",
	     "psn/common/revoke_email"),
	BOOL("auth.force_revoke", auth_force_revoke, "no",
	     "psn/common/force_revoke"),

	BOOL("bruteforce.enabled", bruteforce_enabled, "yes",
	     "psn/bruteforce/enabled"),
	INT("bruteforce.max_attempts", bruteforce_max_attempts, "5", 1, 1000000,
	    "psn/bruteforce/max_attempts"),
	INT("bruteforce.max_attempts_per_account",
	    bruteforce_max_attempts_per_account, "20", 1, 1000000, NULL),
	INT("bruteforce.penalty", bruteforce_penalty, "300", 1, YEAR,
	    "psn/bruteforce/penalty"),

	STR("journal.path", journal_path, "/var/lib/mail-recalld/journal.db",
	    NULL),
	INT("journal.keep_days", journal_keep_days, "90", 1, 36500, NULL),
	INT("journal.workers", journal_workers, "4", 1, 256, NULL),

	STR("log.path", log_path, "", "pbm/common/log_path"),
	STR("log.level", log_level, "info", "pbm/common/log_lvl"),
	BOOL("audit.cef_enabled", audit_cef_enabled, "yes",
	     "psn/web/logger/cef_enabled"),
	STR("audit.cef_prefix", audit_cef_prefix,
	    "CEF:0|dovecot-recall|mail-recalld|" PACKAGE_VERSION,
	    "psn/web/logger/cef_prefix"),
	STR("audit.dir", audit_dir, CONFIG_LOG_DIR, "psn/web/logger/dir"),
	STR("audit.cef_file", audit_cef_file, "",
	    "psn/web/logger/cef_filename"),
	STR("audit.syslog_socket", audit_syslog_socket, "/dev/log", NULL),
	BOOL("audit.required", audit_required, "yes", NULL),
	INT("audit.refused_per_second", audit_refused_per_second, "10", 0,
	    1000000, NULL),
	INT("audit.late_per_hour", audit_late_per_hour, "10000", 0,
	    1000000000, NULL),

	INT("approval.users", approval_users, "0", 0, RECALL_USERS_MAX, NULL),
	BOOL("approval.force", approval_force, "no", NULL),
	BOOL("approval.query", approval_query, "no", NULL),
	BOOL("approval.check_asker", approval_check_asker, "yes", NULL),
	INT("approval.expire_hours", approval_expire_hours, "72", 1, 8784,
	    NULL),

	BOOL("recall.require_reason", recall_require_reason, "no", NULL),
	INT("recall.max_stand", recall_max_stand, "3600", 0,
	    RECALL_STAND_MAX_SECS, NULL),
	INT("recall.late_interval", recall_late_interval, "60", 1, 86400,
	    NULL),
	STR("rights.fetch_body", rights_fetch_body, "3", NULL),
	STR("rights.export", rights_export, "3", NULL),
	INT("limits.users_super", limits_users_super, "0", 0, RECALL_USERS_MAX,
	    NULL),
	INT("limits.users_admin", limits_users_admin, "0", 0, RECALL_USERS_MAX,
	    NULL),
	INT("limits.users_user", limits_users_user, "0", 0, RECALL_USERS_MAX,
	    NULL),
	INT("limits.recalls_super", limits_recalls_super, "0", 0, 1000000,
	    NULL),
	INT("limits.recalls_admin", limits_recalls_admin, "0", 0, 1000000,
	    NULL),
	INT("limits.recalls_user", limits_recalls_user, "0", 0, 1000000, NULL),

	STR("webhook.url", webhook_url, "", NULL),
	STR("webhook.key", webhook_key, "", NULL),
	STR("webhook.key_file", webhook_key_file, "", NULL),
	STR("webhook.ca_file", webhook_ca_file, "", NULL),
	INT("webhook.timeout", webhook_timeout, "10", 1, 3600, NULL),
	INT("webhook.retry_hours", webhook_retry_hours, "72", 1, 8784, NULL),

	BOOL("console.enabled", console_enabled, "yes", NULL),
	STR("console.dir", console_dir, "", NULL),

	STR("oidc.issuer", oidc_issuer, "", NULL),
	STR("oidc.name", oidc_name, "OpenID Connect", NULL),
	STR("oidc.client_id", oidc_client_id, "", NULL),
	STR("oidc.client_secret", oidc_client_secret, "", NULL),
	STR("oidc.client_secret_file", oidc_client_secret_file, "", NULL),
	STR("oidc.redirect_url", oidc_redirect_url, "", NULL),
	STR("oidc.scope", oidc_scope, "openid email", NULL),
	STR("oidc.login_claim", oidc_login_claim, "email", NULL),
	STR("oidc.role_claim", oidc_role_claim, "", NULL),
	STR("oidc.role_super", oidc_role_super, "", NULL),
	STR("oidc.role_admin", oidc_role_admin, "", NULL),
	STR("oidc.role_user", oidc_role_user, "", NULL),
	STR("oidc.tenant_claim", oidc_tenant_claim, "", NULL),
	STR("oidc.ca_file", oidc_ca_file, "", NULL),
	STR("oidc.proxy", oidc_proxy, "", NULL),
	BOOL("oidc.allow_plaintext", oidc_allow_plaintext, "no", NULL),
	INT("oidc.session_time", oidc_session_time, "28800", 60, YEAR, NULL),
	INT("oidc.timeout", oidc_timeout, "10", 1, 3600, NULL),

	STR("etcd.endpoints", etcd_endpoints, "", NULL),
	STR("etcd.prefix", etcd_prefix, "", NULL),
	STR("etcd.user", etcd_user, "", NULL),
	STR("etcd.password_file", etcd_password_file, "", NULL),
	STR("etcd.ca_file", etcd_ca_file, "", NULL),
	BOOL("etcd.allow_plaintext", etcd_allow_plaintext, "no", NULL),
	INT("etcd.timeout", etcd_timeout, "5", 1, 3600, NULL),
};
#define SETTINGS_COUNT (sizeof(settings) / sizeof(settings[0]))

static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static struct config *current;

static void *field(const struct config *config, const struct setting *set)
{
	return (char *)config + set->offset;
}

static bool parse_bool(const char *s, bool *value_r)
{
	static const char *const words[] = { "no", "yes", "false", "true",
					     "0", "1", "off", "on" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(s, words[i]) == 0) {
			*value_r = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool parse_int(const char *s, int64_t *value_r)
{
	char *end;

	if ((*s < '0' || *s > '9') && *s != '-')
		return false;
	errno = 0;
	*value_r = strtoll(s, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool set_value(struct config *config, const struct setting *set,
		      const char *value, char **error_r)
{
	int64_t num;
	char **str;

	switch (set->type) {
	case SET_STR:
		str = field(config, set);
		free_secret(*str);
		*str = x_strdup(value);
		return true;
	case SET_BOOL:
		if (parse_bool(value, field(config, set)))
			return true;
		*error_r = x_asprintf("%s: '%s' is neither yes nor no",
				      set->key, value);
		return false;
	case SET_INT:
		if (parse_int(value, &num) && num >= set->min &&
		    num <= set->max) {
			*(int64_t *)field(config, set) = num;
			return true;
		}
		*error_r = x_asprintf("%s: '%s' is not a number from %lld to "
				      "%lld", set->key, value,
				      (long long)set->min,
				      (long long)set->max);
		return false;
	}
	return false;
}

/* A key may be any octets. */
static bool is_secret(const char *key)
{
	static const char *const secrets[] = {
		"doveadm.login", "auth.jwt_key", "auth.jwt_old_key",
		"webhook.key", "oidc.client_secret",
	};
	size_t i;

	for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		if (strcmp(secrets[i], key) == 0)
			return true;
	}
	return false;
}

/* What the service was started with; see config_restart_settings(). */
static const char *const restart[] = {
	"http.address", "http.port", "http.max_connections",
	"http.idle_timeout", "http.max_header", "http.workers", "http.queue",
	"http.health_address", "http.health_port", "doveadm.connections",
	"auth.logins", "auth.logins_queue", "journal.path", "journal.workers",
	"console.dir",
};

static const struct setting *find_setting(const char *key)
{
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++) {
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
	}
	return NULL;
}

static bool is_same(const struct config *c1, const struct config *c2,
		    const struct setting *set)
{
	const void *f1 = field(c1, set), *f2 = field(c2, set);

	switch (set->type) {
	case SET_STR:
		return strcmp(*(char *const *)f1, *(char *const *)f2) == 0;
	case SET_INT:
		return *(const int64_t *)f1 == *(const int64_t *)f2;
	case SET_BOOL:
		return *(const bool *)f1 == *(const bool *)f2;
	}
	return false;
}

void config_restart_settings(const struct config *started,
			     const struct config *config,
			     struct strlist *names)
{
	size_t i;

	for (i = 0; i < sizeof(restart) / sizeof(restart[0]); i++) {
		if (!is_same(started, config, find_setting(restart[i])))
			strlist_add(names, restart[i]);
	}
	/* TLS is turned on or off */
	if ((started->tls_cert_pem == NULL) != (config->tls_cert_pem == NULL))
		strlist_add(names, "http.tls_cert_file");
}

bool config_set(struct config *config, const char *key, const char *value,
		char **error_r)
{
	const struct setting *set = find_setting(key);

	/* JSON can't have it */
	if (!is_secret(key) && !utf8_valid(value, strlen(value))) {
		*error_r = x_asprintf("%s: is not UTF-8", key);
		return false;
	}
	if (set != NULL)
		return set_value(config, set, value, error_r);
	*error_r = x_asprintf("%s: there is no such setting", key);
	return false;
}

void config_etcd_keys(void (*callback)(const char *etcd_key, const char *key,
				       void *context),
		      void *context)
{
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++) {
		if (settings[i].etcd_key != NULL)
			callback(settings[i].etcd_key, settings[i].key,
				 context);
	}
}

void config_print_defaults(void)
{
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++)
		printf("%s = %s\n", settings[i].key, settings[i].def);
}

struct config *config_new(void)
{
	struct config *config = x_calloc(1, sizeof(*config));
	char *error = NULL;
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++)
		(void)set_value(config, &settings[i], settings[i].def, &error);
	config->refcount = 1;
	return config;
}

struct config *config_ref(struct config *config)
{
	__atomic_add_fetch(&config->refcount, 1, __ATOMIC_RELAXED);
	return config;
}

void config_unref(struct config *config)
{
	size_t i;

	if (config == NULL ||
	    __atomic_sub_fetch(&config->refcount, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < SETTINGS_COUNT; i++) {
		if (settings[i].type == SET_STR)
			free_secret(*(char **)field(config, &settings[i]));
	}
	free(config->jwt_public_pem);
	free(config->jwt_old_public_pem);
	free_secret(config->jwt_private_pem);
	free(config->tls_cert_pem);
	free_secret(config->tls_key_pem);
	strlist_free(&config->nodes);
	strlist_free(&config->doveadm_urls);
	strlist_free(&config->warnings);
	free(config);
}

void config_node_groups(const struct config *config, struct strlist *groups)
{
	size_t i, n;

	strlist_add(groups, config->doveadm_url);
	for (i = 1; i < config->nodes.count; i += 2) {
		for (n = 0; n < groups->count; n++) {
			if (strcmp(groups->items[n], config->nodes.items[i]) ==
			    0)
				break;
		}
		if (n == groups->count)
			strlist_add(groups, config->nodes.items[i]);
	}
}

const char *config_domain_urls(const struct config *config, const char *domain)
{
	char *ascii = address_domain_to_ascii(domain);
	const char *urls = NULL;
	size_t i;

	if (ascii != NULL)
		domain = ascii;
	for (i = 0; i < config->nodes.count && urls == NULL; i += 2) {
		if (strcasecmp(config->nodes.items[i], domain) == 0)
			urls = config->nodes.items[i + 1];
	}
	free(ascii);
	return urls;
}

const char *config_node_urls(const struct config *config, const char *user)
{
	const char *domain = strrchr(user, '@'), *urls = NULL;

	if (domain != NULL)
		urls = config_domain_urls(config, domain + 1);
	return urls != NULL ? urls : config->doveadm_url;
}

bool config_has_role(const char *roles, int role)
{
	return strchr(roles, '0' + role) != NULL;
}

struct config *config_current(void)
{
	struct config *config;

	pthread_mutex_lock(&current_lock);
	config = config_ref(current);
	pthread_mutex_unlock(&current_lock);
	return config;
}

void config_replace(struct config *config)
{
	struct config *old;

	pthread_mutex_lock(&current_lock);
	old = current;
	current = config;
	pthread_mutex_unlock(&current_lock);
	config_unref(old);
}
