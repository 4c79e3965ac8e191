#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "alloc.h"
#include "config-certs.h"
#include "config-check.h"
#include "file.h"
#include "network.h"
#include "strbuf.h"
#include "strlist.h"

/* RFC 7518, 3.2: an HS256 key has at least as many bits as the hash. */
#define HS256_KEY_MIN 32
/* No key that is any good is shorter, and few names are longer. */
#define API_KEY_MIN 15
/* where the browser comes back to */
#define OIDC_CALLBACK "/console/oidc/callback"

static bool is_loopback(const char *address)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, address, &in) == 1)
		return (ntohl(in.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, address, &in6) == 1 &&
	       IN6_IS_ADDR_LOOPBACK(&in6);
}

/* Whether what is sent there stays on this host. */
static bool is_local_url(CURLU *url)
{
	char *host = NULL;
	size_t len;
	bool ret;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return false;
	len = strlen(host);
	if (*host == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		ret = is_loopback(host + 1);
	} else {
		ret = is_loopback(host) || strcasecmp(host, "localhost") == 0;
	}
	curl_free(host);
	return ret;
}

static bool has_user(CURLU *url)
{
	char *user = NULL;
	bool ret = curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK;

	curl_free(user);
	return ret;
}

/* scheme is "http" for both "http://" and "https://". allow_plaintext names the
   setting that allows to send secrets in the clear to another host; allowed is
   its value. */
static void check_url(const char *what, const char *text, const char *scheme,
		      const char *allow_plaintext, bool allowed,
		      struct strbuf *errors)
{
	size_t len = strlen(scheme);
	char *found = NULL;
	CURLU *url = curl_url();

	if (strncmp(text, scheme, len) != 0 ||
	    curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &found, 0) != CURLUE_OK ||
	    strncmp(found, scheme, len) != 0 ||
	    (found[len] != '\0' && strcmp(found + len, "s") != 0))
		strbuf_addf(errors, "%s: '%s' is not a %s:// or %ss:// URL\n",
			    what, text, scheme, scheme);
	else if (has_user(url))
		/* URLs are in the log and in answers */
		strbuf_addf(errors, "%s: has a login\n", what);
	else if (found[len] == '\0' && !allowed && !is_local_url(url))
		strbuf_addf(errors, "%s: secrets would go to %s in the clear, "
			    "which is not this host: use TLS, or set %s\n",
			    what, text, allow_plaintext);
	curl_free(found);
	curl_url_cleanup(url);
}

static void check_doveadm_urls(const struct config *config, const char *what,
			       const char *urls, struct strlist *list,
			       struct strbuf *errors)
{
	struct strlist words = { NULL, 0, 0 };
	size_t i;

	strlist_split(&words, urls);
	if (words.count == 0)
		strbuf_addf(errors, "%s: has no URL\n", what);
	for (i = 0; i < words.count; i++) {
		check_url(what, words.items[i], "http",
			  "doveadm.allow_plaintext",
			  config->doveadm_allow_plaintext, errors);
		if (list != NULL)
			strlist_add(list, words.items[i]);
	}
	strlist_free(&words);
}

void config_check_etcd(const struct config *config, struct strbuf *errors)
{
	struct strlist words = { NULL, 0, 0 };
	size_t i;

	strlist_split(&words, config->etcd_endpoints);
	for (i = 0; i < words.count; i++)
		check_url("etcd.endpoints", words.items[i], "http",
			  "etcd.allow_plaintext", config->etcd_allow_plaintext,
			  errors);
	strlist_free(&words);
	config_check_ca("etcd.ca_file", config->etcd_ca_file, errors);
}

static bool read_into(const char *path, char **value, bool secret,
		      struct strbuf *errors)
{
	char *error = NULL, *text;

	text = secret ? read_secret_file(path, &error) :
			read_whole_file(path, &error);
	if (text == NULL) {
		strbuf_addf(errors, "%s\n", error);
		free(error);
		return false;
	}
	free_secret(*value);
	*value = text;
	return true;
}

void config_read_secrets(struct config *config, struct strbuf *errors)
{
	if (*config->auth_jwt_key_file != '\0')
		(void)read_into(config->auth_jwt_key_file,
				&config->auth_jwt_key, true, errors);
	if (*config->auth_jwt_old_key_file != '\0')
		(void)read_into(config->auth_jwt_old_key_file,
				&config->auth_jwt_old_key, true, errors);
	if (*config->webhook_key_file != '\0')
		(void)read_into(config->webhook_key_file, &config->webhook_key,
				true, errors);
	if (*config->doveadm_login_file != '\0')
		(void)read_into(config->doveadm_login_file,
				&config->doveadm_login, true, errors);
	if (*config->oidc_client_secret_file != '\0')
		(void)read_into(config->oidc_client_secret_file,
				&config->oidc_client_secret, true, errors);
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len &&
	       strcmp(text + len - suffix_len, suffix) == 0;
}

static void check_oidc(const struct config *config, struct strbuf *errors)
{
	if (*config->oidc_issuer == '\0')
		return;
	check_url("oidc.issuer", config->oidc_issuer, "http",
		  "oidc.allow_plaintext", config->oidc_allow_plaintext, errors);
	check_url("oidc.redirect_url", config->oidc_redirect_url, "http",
		  "oidc.allow_plaintext", config->oidc_allow_plaintext, errors);
	if (*config->oidc_proxy != '\0')
		check_url("oidc.proxy", config->oidc_proxy, "http", "", true,
			  errors);
	if (!has_suffix(config->oidc_redirect_url, OIDC_CALLBACK))
		strbuf_addf(errors, "oidc.redirect_url: does not end with "
			    OIDC_CALLBACK "\n");
	if (*config->oidc_client_id == '\0')
		strbuf_addf(errors, "oidc.client_id: is needed\n");
	if (*config->oidc_role_claim == '\0' &&
	    *config->oidc_tenant_claim != '\0')
		strbuf_addf(errors, "oidc.tenant_claim: needs "
			    "oidc.role_claim: the userdb has both, or none\n");
	if (*config->oidc_role_claim != '\0' &&
	    *config->oidc_role_super == '\0' &&
	    *config->oidc_role_admin == '\0' &&
	    *config->oidc_role_user == '\0')
		strbuf_addf(errors, "oidc.role_claim: no value of it is a "
			    "role: see oidc.role_super, role_admin and "
			    "role_user\n");
	if (!config->console_enabled)
		strbuf_addf(errors, "oidc.issuer: needs console.enabled\n");
}

static void check_rs256(struct config *config, struct strbuf *errors)
{
	size_t before = errors->len;

	if (*config->auth_jwt_public_key_file == '\0') {
		strbuf_addf(errors, "auth.jwt_public_key_file: is needed for "
			    "RS256\n");
	} else if (read_into(config->auth_jwt_public_key_file,
			     &config->jwt_public_pem, false, errors) &&
		   !config_is_rsa_key(config->jwt_public_pem, false)) {
		strbuf_addf(errors, "auth.jwt_public_key_file: is not an RSA "
			    "public key of 2048 bits or more in PEM\n");
	}
	if (*config->auth_jwt_private_key_file == '\0' ||
	    !read_into(config->auth_jwt_private_key_file,
		       &config->jwt_private_pem, true, errors))
		return;
	if (!config_is_rsa_key(config->jwt_private_pem, true))
		strbuf_addf(errors, "auth.jwt_private_key_file: is not an RSA "
			    "private key of 2048 bits or more in PEM\n");
	else if (errors->len == before &&
		 !config_is_rsa_pair(config->jwt_public_pem,
				     config->jwt_private_pem))
		/* tokens would be issued that are good for nothing */
		strbuf_addf(errors, "auth.jwt_private_key_file: is not the key "
			    "of auth.jwt_public_key_file\n");
}

static void check_jwt(struct config *config, struct strbuf *errors)
{
	if (strcmp(config->auth_jwt_algorithm, "HS256") == 0) {
		if (*config->auth_jwt_key == '\0')
			strbuf_addf(errors, "auth.jwt_key: is needed for "
				    "HS256\n");
		else if (strlen(config->auth_jwt_key) < HS256_KEY_MIN)
			strbuf_addf(errors, "auth.jwt_key: is shorter than 32 "
				    "octets, so it can be guessed\n");
		return;
	}
	if (strcmp(config->auth_jwt_algorithm, "RS256") != 0) {
		strbuf_addf(errors, "auth.jwt_algorithm: '%s' is neither "
			    "HS256 nor RS256\n", config->auth_jwt_algorithm);
		return;
	}
	check_rs256(config, errors);
}

/* The key before this one, while tokens of it are still about. */
static void check_old_jwt_key(struct config *config, struct strbuf *errors)
{
	const char *id = config->auth_jwt_old_key_id;

	if (strcmp(config->auth_jwt_algorithm, "HS256") == 0) {
		if (*config->auth_jwt_old_key != '\0' &&
		    strlen(config->auth_jwt_old_key) < HS256_KEY_MIN)
			strbuf_addf(errors, "auth.jwt_old_key: is shorter than "
				    "32 octets\n");
	} else if (*config->auth_jwt_old_public_key_file != '\0' &&
		   read_into(config->auth_jwt_old_public_key_file,
			     &config->jwt_old_public_pem, false, errors) &&
		   !config_is_rsa_key(config->jwt_old_public_pem, false)) {
		strbuf_addf(errors, "auth.jwt_old_public_key_file: is not an "
			    "RSA public key of 2048 bits or more in PEM\n");
	}
	if (*id != '\0' && strcmp(id, config->auth_jwt_key_id) == 0)
		strbuf_addf(errors, "auth.jwt_old_key_id: is that of the key "
			    "in use\n");
}

static void check_doveadm_login(const struct config *config,
				struct strbuf *errors)
{
	static const char basic[] = "doveadm:";
	const char *login = config->doveadm_login;
	size_t len = strlen(basic);

	if (*login == '\0')
		strbuf_addf(errors, "doveadm.login: is needed\n");
	else if (strncmp(login, basic, len) == 0 ? login[len] == '\0' :
		 strlen(login) < API_KEY_MIN)
		/* a name alone would be taken for a key */
		strbuf_addf(errors, "doveadm.login: is neither "
			    "doveadm:PASSWORD nor an API key of %d octets or "
			    "more\n", API_KEY_MIN);
}

/* Makes the path of the audit trail absolute. */
static void set_audit_file(struct config *config)
{
	const char *dir = config->audit_dir;
	char *path;

	if (*config->audit_cef_file == '\0' || *config->audit_cef_file == '/')
		return;
	path = x_asprintf("%s%s%s/%s", *dir == '/' ? "" : CONFIG_LOG_DIR,
			  *dir == '/' || *dir == '\0' ? "" : "/", dir,
			  config->audit_cef_file);
	free(config->audit_cef_file);
	config->audit_cef_file = path;
}

static void check_writable(const char *what, const char *path,
			   struct strbuf *errors)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY |
		      O_NONBLOCK);
	char *copy;

	if (fd >= 0) {
		close(fd);
		return;
	}
	if (errno == ENOENT) {
		copy = x_strdup(path);
		if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK,
			      AT_EACCESS) == 0)
			errno = 0;
		free(copy);
	}
	if (errno != 0)
		strbuf_addf(errors, "%s: open(%s): %s\n", what, path,
			    strerror(errno));
}

void config_check_files(const struct config *config, struct strbuf *errors)
{
	if (*config->log_path != '\0')
		check_writable("log.path", config->log_path, errors);
	if (!config->audit_cef_enabled)
		return;
	if (*config->audit_cef_file != '\0')
		check_writable("audit.cef_file", config->audit_cef_file,
			       errors);
	else if (config->audit_required &&
		 access(config->audit_syslog_socket, W_OK) < 0)
		strbuf_addf(errors, "audit.syslog_socket: %s: %s\n",
			    config->audit_syslog_socket, strerror(errno));
}

static bool check_ip(const char *what, const char *address,
		     struct strbuf *errors)
{
	struct in6_addr addr;

	if (inet_pton(AF_INET, address, &addr) == 1 ||
	    inet_pton(AF_INET6, address, &addr) == 1)
		return true;
	strbuf_addf(errors, "%s: '%s' is not an IP address\n", what, address);
	return false;
}

/* They are compared with the addresses of clients: a name or a network would
   never be one. */
static void check_proxies(const struct config *config, struct strbuf *errors)
{
	struct strlist proxies = { NULL, 0, 0 };
	size_t i;

	strlist_split(&proxies, config->http_trusted_proxies);
	for (i = 0; i < proxies.count; i++)
		(void)check_ip("http.trusted_proxies", proxies.items[i],
			       errors);
	strlist_free(&proxies);
}

/* Whether who listens at that address does so at this one, too. */
static bool is_any_of(const char *any, const char *address)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET6, any, &in6) == 1)
		return IN6_IS_ADDR_UNSPECIFIED(&in6);
	return inet_pton(AF_INET, any, &in) == 1 &&
	       in.s_addr == htonl(INADDR_ANY) &&
	       inet_pton(AF_INET, address, &in) == 1;
}

static void check_ports(const struct config *config, struct strbuf *errors)
{
	const char *address = config->http_address;
	const char *health = config->http_health_address;

	if (config->http_port != 0 &&
	    config->http_port == config->http_health_port &&
	    (network_same_address(address, health) ||
	     is_any_of(address, health) || is_any_of(health, address)))
		strbuf_addf(errors, "http.health_port: is http.port\n");
}

static void check_http(struct config *config, struct strbuf *errors)
{
	bool cert = *config->http_tls_cert_file != '\0';
	bool key = *config->http_tls_key_file != '\0';

	if (config->http_max_bodies < config->http_max_body ||
	    config->http_max_bodies_per_caller < config->http_max_body)
		strbuf_addf(errors, "http.max_body: is more than "
			    "http.max_bodies or http.max_bodies_per_caller\n");
	check_proxies(config, errors);
	check_ports(config, errors);
	(void)check_ip("http.health_address", config->http_health_address,
		       errors);
	if (check_ip("http.address", config->http_address, errors) &&
	    !cert && !is_loopback(config->http_address))
		strlist_add(&config->warnings, "http.address: passwords and "
			    "tokens travel in the clear without "
			    "http.tls_cert_file");
	if (cert != key) {
		strbuf_addf(errors, "http.tls_cert_file and http.tls_key_file "
			    "go together\n");
		return;
	}
	if (!cert)
		return;
	cert = read_into(config->http_tls_cert_file, &config->tls_cert_pem,
			 false, errors);
	key = read_into(config->http_tls_key_file, &config->tls_key_pem, true,
			errors);
	if (cert && key)
		config_check_tls(config, errors);
}

/* Whether the host is an address that is not this host's: who is told has a
   name. */
static bool has_foreign_address(CURLU *url)
{
	char *host = NULL, *end;
	struct in6_addr addr;
	bool ret = true;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return true;
	/* whatever resolvers take for one, e.g. 2130706433 or 0x7f.1 */
	end = strrchr(host, '.');
	end = end == NULL ? host : end + 1;
	ret = *host == '[' || strchr("0123456789", *end) != NULL ||
		inet_pton(AF_INET, host, &addr) == 1;
	curl_free(host);
	return ret && !is_local_url(url);
}

static void check_webhook(const struct config *config, struct strbuf *errors)
{
	size_t before = errors->len;
	CURLU *url;

	if (*config->webhook_url == '\0')
		return;
	check_url("webhook.url", config->webhook_url, "http",
		  "an https:// URL", false, errors);
	if (strlen(config->webhook_key) < HS256_KEY_MIN)
		strbuf_addf(errors, "webhook.key: is shorter than 32 octets\n");
	if (errors->len > before)
		return;
	url = curl_url();
	(void)curl_url_set(url, CURLUPART_URL, config->webhook_url, 0);
	if (has_foreign_address(url))
		strbuf_addf(errors, "webhook.url: '%s' names another host by "
			    "its address\n", config->webhook_url);
	curl_url_cleanup(url);
}

/* Role 3 has all rights. */
static void check_roles(const char *what, const char *roles,
			struct strbuf *errors)
{
	struct strlist words = { NULL, 0, 0 };
	bool super = false;
	size_t i;

	strlist_split(&words, roles);
	for (i = 0; i < words.count; i++) {
		if (strlen(words.items[i]) != 1 ||
		    strchr("123", *words.items[i]) == NULL)
			strbuf_addf(errors, "%s: '%s' is no role\n", what,
				    words.items[i]);
		super = super || strcmp(words.items[i], "3") == 0;
	}
	if (!super)
		strbuf_addf(errors, "%s: role 3 has all rights\n", what);
	strlist_free(&words);
}

static void check_cas(const struct config *config, struct strbuf *errors)
{
	config_check_ca("doveadm.ca_file", config->doveadm_ca_file, errors);
	config_check_ca("auth.imap_ca_file", config->auth_imap_ca_file, errors);
	config_check_ca("webhook.ca_file", config->webhook_ca_file, errors);
	config_check_ca("oidc.ca_file", config->oidc_ca_file, errors);
}

void config_check(struct config *config, struct strbuf *errors)
{
	size_t i;

	check_http(config, errors);
	check_roles("rights.fetch_body", config->rights_fetch_body, errors);
	check_roles("rights.export", config->rights_export, errors);
	check_doveadm_urls(config, "doveadm.url", config->doveadm_url,
			   &config->doveadm_urls, errors);
	for (i = 0; i < config->nodes.count; i += 2)
		check_doveadm_urls(config, "nodes", config->nodes.items[i + 1],
				   NULL, errors);
	if (*config->doveadm_behind != '\0')
		check_doveadm_urls(config, "doveadm.behind",
				   config->doveadm_behind, NULL, errors);
	check_doveadm_login(config, errors);
	check_cas(config, errors);
	check_webhook(config, errors);
	check_jwt(config, errors);
	check_old_jwt_key(config, errors);
	check_oidc(config, errors);
	check_url("auth.imap_url", config->auth_imap_url, "imap",
		  "auth.imap_starttls or auth.imap_allow_plaintext",
		  config->auth_imap_starttls ||
		  config->auth_imap_allow_plaintext, errors);
	set_audit_file(config);
	if (strlen(config->audit_cef_prefix) > CONFIG_CEF_PREFIX_MAX)
		strbuf_addf(errors, "audit.cef_prefix: has more than %d "
			    "octets\n", CONFIG_CEF_PREFIX_MAX);
	if (strcmp(config->log_level, "info") != 0 &&
	    strcmp(config->log_level, "debug") != 0)
		strbuf_addf(errors, "log.level: '%s' is neither info nor "
			    "debug\n", config->log_level);
	if (*config->journal_path == '\0')
		strbuf_addf(errors, "journal.path: is needed\n");
	if (config->doveadm_connections_per_recall >
	    config->doveadm_connections)
		strlist_add(&config->warnings,
			    "doveadm.connections_per_recall: is more than "
			    "doveadm.connections");
}
